#ifndef CORE_RNG_H
#define CORE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* Seeded random numbers (xoshiro256**): the same seed gives the same numbers, on every machine. */
struct rng {
	uint64_t s[4];
};

/* Start from a seed; every seed is good, also 0. */
void rng_init(struct rng *r, uint64_t seed);

/* The next 64 random bits. */
uint64_t rng_next(struct rng *r);

/* A number in [0, n), without bias; n >= 1 is a precondition. */
uint64_t rng_below(struct rng *r, uint64_t n);

/* Fill buf with random bytes. */
void rng_fill(struct rng *r, void *buf, size_t len);

/* 64 bits from the kernel's random source: for ids and nonces. Never fails (aborts if it would). */
uint64_t rng_system(void);

#endif
