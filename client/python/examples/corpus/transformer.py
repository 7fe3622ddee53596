"""The small pre-norm decoder that the modular and the text tasks train."""

import torch
from torch import nn


class Block(nn.Module):
    """Causal attention, then an MLP, each on a normalized residual stream."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, first=0):
        """(B, T, width) -> (B, T - first, width): the outputs from position `first` on."""
        normal = self.attention_norm(x)
        x = x[:, first:] + self.dropout(self.attention(normal, first))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))

    def attention(self, x, first):
        batch, length, width = x.shape

        def split(rows):
            return rows.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)

        query = split(self.query(x[:, first:]))
        key, value = map(split, self.key_value(x).chunk(2, dim=-1))
        scores = query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5
        future = torch.ones(length, length, dtype=torch.bool).triu(1)[first:]
        weights = scores.masked_fill(future, float("-inf")).softmax(-1)
        return self.attention_out((weights @ value).transpose(1, 2).reshape(batch, -1, width))


class Decoder(nn.Module):
    """Token ids to the residual stream behind the last block."""

    def __init__(self, vocabulary, length, width=128, heads=4, blocks=2, dropout=0.0):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(length, width)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=width**-0.5)
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens, last_only=False):
        """(B, T) ids -> (B, T, width), or (B, 1, width) of the last position."""
        length = tokens.shape[1]
        x = self.tokens(tokens) + self.positions.weight[:length]
        for block in self.blocks:
            last = last_only and block is self.blocks[-1]
            x = block(x, first=length - 1 if last else 0)
        return x
