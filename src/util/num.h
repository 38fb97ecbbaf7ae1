/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_NUM_H
#define UTIL_NUM_H

/*
 * Numbers written by people: sizes, durations, cpus.  Pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/**
 * num_parse_i64() - a whole decimal number, nothing before or after it
 * @text:      "-12"
 * @min, @max: accepted range, inclusive
 * Return: NULL, or ERR_INVALID naming text and range.
 */
struct err *num_parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret) MUST_USE;

/**
 * num_parse_bytes() - a size as docker takes it
 * @text: number with an optional fraction and suffix b, k, m, g, t (also kb,
 *        kib, ...; powers of 1024; any case); no suffix means bytes
 * Return: NULL, or ERR_INVALID.
 */
struct err *num_parse_bytes(const char *text, int64_t *ret_bytes) MUST_USE;

/**
 * num_parse_list() - numbers and ranges as the kernel writes them, "0-3,7"
 * @ret: one bit per number, bit n % 64 of word n / 64; @words of them, zeroed here
 * Return: NULL, or ERR_INVALID when it is no list or a number does not fit.
 */
struct err *num_parse_list(const char *text, uint64_t *ret, size_t words) MUST_USE;

/**
 * num_parse_milli() - a decimal number in thousandths, "0.5" is 500
 * Return: NULL, or ERR_INVALID (negative, more than 1e9, not a number).
 */
struct err *num_parse_milli(const char *text, int64_t *ret_milli) MUST_USE;

/**
 * num_parse_duration() - "1h30m", "10s", "50ms", "2d" in ns; a bare number is seconds
 * Return: NULL, or ERR_INVALID.
 */
struct err *num_parse_duration(const char *text, int64_t *ret_ns) MUST_USE;

/**
 * num_bytes_text() - a size for people: "1.5 GiB", "256 MiB", "12 B"
 * @buf: at least 24 bytes
 * Return: @buf.
 */
const char *num_bytes_text(int64_t bytes, char *buf);

#endif
