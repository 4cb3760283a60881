"""Models without gradient descent: linear maps and trees on pooled features, fitted at once by scikit-learn."""
