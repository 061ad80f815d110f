"""Normalising flows of zuko as models of genlab: MAF and NSF.

An invertible f carries y to noise z = f(y) ~ N(0, I): log p(y) = log N(f(y); 0, I) + log |det ∂f/∂y|, and
f⁻¹ of noise is a sample. f is a composition of autoregressive transformations: z_d is an increasing
function of y_d, affine (MAF) or a rational-quadratic spline over [-5, 5] (NSF), whose parameters a masked
network computes from the y before it.

On REAL data y is x. On BINARY and LEVELS data, of levels k_d in 0 … L - 1, y is drawn (dequantisation):

    u_d = (k_d + ε_d) / L  with  ε_d ~ U[0, 1),    y_d = Φ⁻¹(u_d),    du_d / dy_d = N(y_d; 0, 1)

so that p(x), the integral of p(u) over the cell of x, is the mean of w = p(y) / Π_d L N(y_d; 0, 1), and the
mean of log w a lower bound. With Φ⁻¹ in place of a logit, f = identity is the uniform distribution.

George Papamakarios, Theo Pavlakou, Iain Murray: Masked Autoregressive Flow for Density Estimation. NeurIPS
2017, https://arxiv.org/abs/1705.07057. Conor Durkan et al.: Neural Spline Flows. NeurIPS 2019,
https://arxiv.org/abs/1906.04032. Jonathan Ho et al.: Flow++. ICML 2019, https://arxiv.org/abs/1902.00275
"""

from genlab_flows.model import Flow

__all__ = ["Flow"]
