"""The published weights, installed as `rdae.weights_data`; a folder of data, found by `rdae.weights`."""
