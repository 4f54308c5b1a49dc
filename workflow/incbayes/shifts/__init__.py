"""Test images that are changed step by step while their class stays what it is: one kind a file.

A kind's module imports torch and torchvision where it computes, as a study is planned without.
"""
