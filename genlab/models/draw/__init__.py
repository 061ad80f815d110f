"""DRAW: a variational auto-encoder that looks at a picture, and paints one, in T glimpses.

With an LSTM for recognition and one for generation, a canvas c, c_0 given, and x̂ = x − E[x | c], at
glimpse t = 1 … T

    r_t = read(x, x̂_t, h_{t−1})              e_t = LSTM_enc(e_{t−1}, [r_t, h_{t−1}])
    z_t ~ q(z_t | e_t) = N(μ, σ²)             h_t = LSTM_dec(h_{t−1}, z_t)
    c_t = c_{t−1} + write(h_t)                p(x | z_1 … z_T) = Π_d p(x_d | c_T)

and, as z_t is drawn from N(0, I), or from N(μ', σ'²) of h_{t−1} in an autoregressive prior,

    log p(x) ≥ E_q[ log p(x | c_T) − Σ_t KL( q(z_t | e_t) || p(z_t | h_{t−1}) ) ].

Karol Gregor, Ivo Danihelka, Alex Graves, Danilo Rezende, Daan Wierstra: DRAW: A Recurrent Neural
Network For Image Generation. ICML 2015, https://arxiv.org/abs/1502.04623. The autoregressive prior: Ali
Eslami and others: Neural scene representation and rendering. Science 2018.

| file | says |
|---|---|
| ``attention`` | a window of N × N Gaussian filters, for reading and for writing |
| ``glimpses`` | reading and writing, through a window or all at once |
| ``gaussian`` | the distributions of z |
| ``model`` | the model |
| ``pictures`` | canvases, and where it looks |
"""

from genlab.models.draw.model import DRAW

__all__ = ["DRAW"]
