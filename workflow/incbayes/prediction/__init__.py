"""What is done with a posterior by itself: predict for images, export its mean, say what it is."""
