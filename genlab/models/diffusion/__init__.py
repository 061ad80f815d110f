"""Diffusion models: schedule, denoiser and sampler are separate objects; ``model`` puts them together."""

from genlab.models.diffusion.bit_kernels import Absorbing, Binomial, BitKernel
from genlab.models.diffusion.bit_samplers import BitSampler, Strided, Unmasking
from genlab.models.diffusion.bits import BitDiffusion
from genlab.models.diffusion.denoisers import Denoiser
from genlab.models.diffusion.model import Diffusion
from genlab.models.diffusion.networks import Dense, DenseNet, ResNet
from genlab.models.diffusion.samplers import DDIM, Ancestral, DPMSolver, Heun, Sampler
from genlab.models.diffusion.schedules import Cosine, Learned, Linear, LogLinear, Schedule

__all__ = [
    "DDIM",
    "Absorbing",
    "Ancestral",
    "Binomial",
    "BitDiffusion",
    "BitKernel",
    "BitSampler",
    "Cosine",
    "DPMSolver",
    "Denoiser",
    "Dense",
    "DenseNet",
    "Diffusion",
    "Heun",
    "Learned",
    "Linear",
    "LogLinear",
    "ResNet",
    "Sampler",
    "Schedule",
    "Strided",
    "Unmasking",
]
