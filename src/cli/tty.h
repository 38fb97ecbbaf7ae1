/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_TTY_H
#define CLI_TTY_H

/*
 * The user's terminal: raw mode, size, keys that detach.
 */

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "util/err.h"

struct tty {
	bool is_raw;
	struct termios saved;
};

/** tty_raw() - switch stdin's terminal to raw; nothing when it is none */
void tty_raw(struct tty *t);

/** tty_restore() - back as it was; may be called in any state */
void tty_restore(struct tty *t);

/** tty_size() - rows and columns of the terminal on stdout or stdin; false: there is none */
bool tty_size(int *ret_rows, int *ret_cols);

#define KEYS_MAX 16

/* A sequence of keys that is taken out of what is typed. */
struct keys {
	unsigned char seq[KEYS_MAX];
	size_t n;
	size_t matched; /* bytes of seq that have been held back */
};

/**
 * keys_parse() - Docker's notation, "ctrl-p,ctrl-q" or "a,ctrl-]"
 * Return: NULL, or ERR_INVALID.
 */
struct err *keys_parse(const char *text, struct keys *ret) MUST_USE;

/**
 * keys_filter() - pass typed bytes on, holding back what may be the sequence
 * @out: at least @len + KEYS_MAX bytes
 * @ret_len: bytes in @out
 * Return: true when the sequence was typed; what came after it is dropped.
 */
bool keys_filter(struct keys *k, const unsigned char *in, size_t len, unsigned char *out,
		 size_t *ret_len);

#endif
