"""Analysis x -> y and synthesis ŷ -> x̂: the parts that need not be exact (and can be: `exact`)."""
