"""The way of the data: transform, write, encode, prove, publish, deliver."""
