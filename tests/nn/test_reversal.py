import torch

from deconfound.nn.reversal import reverse_gradient


def test_values_pass_and_gradients_turn() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0)).requires_grad_()
    turned = reverse_gradient(values)
    assert torch.equal(turned, values)
    (gradient,) = torch.autograd.grad(turned.sin().sum(), values)
    torch.testing.assert_close(gradient, -values.cos())
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert torch.equal(reverse_gradient(values.to(dtype)), values.to(dtype))
