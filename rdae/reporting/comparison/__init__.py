"""The same pictures by several codecs at equal bytes or an equal score: `rdae compare` as a strip or a page.

`versions` makes the files, `crops` says which part of a picture is shown, `strip` draws one picture of all of them, and
`page` puts them into a page on which one flicks from codec to codec.
"""
