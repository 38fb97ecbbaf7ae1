/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_KEYS_H
#define ENGINE_KEYS_H

#include <stddef.h>

/**
 * keys_parse() - Docker's notation of detach keys as bytes
 * @text: "ctrl-p,ctrl-q", "a,ctrl-[", "DEL"; NULL or "": ctrl-p,ctrl-q
 * @ret:  at least 2 bytes
 * Return: number of bytes, -1 for a bad notation or more than @size.
 */
int keys_parse(const char *text, char *ret, size_t size);

#endif
