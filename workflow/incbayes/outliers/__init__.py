"""Images that are none of a task, made of its own test images: one kind a file.

A kind's module imports torch where it computes, as a study is planned without.
"""
