"""Which modality a trained model leans on."""
