"""Convolution of images as bilinear algorithms: transforms of tiles around matrix products.

`algorithms` has the matrices, `tilings` the transforms in plain NumPy, `compiled` the same in
machine code, `choice` which algorithm a convolution takes.
"""
