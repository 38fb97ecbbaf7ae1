/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_KEYS_H
#define SHIM_KEYS_H

/*
 * Detach keys: a sequence of bytes in a client's input that means "let me go".
 * What might become the sequence is held back until it is clear.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/proto.h"
#include "util/defs.h"

struct keys {
	char keys[SHIM_KEYS_MAX];
	uint8_t len;     /* 0: there is no sequence */
	uint8_t matched; /* bytes of it seen and held back */
};

/**
 * keys_feed() - pass input through
 * @in, @len: bytes from the client
 * @out:      at least @len + SHIM_KEYS_MAX bytes; what the process is to get
 * @ret_len:  number of bytes in @out
 * Return: has the sequence come?  What follows it in @in is dropped.
 */
bool keys_feed(struct keys *k, const char *in, size_t len, char *out, size_t *ret_len) MUST_USE;

/** keys_flush() - at the end of input: the bytes held back, at most SHIM_KEYS_MAX; their number */
size_t keys_flush(struct keys *k, char *out);

#endif
