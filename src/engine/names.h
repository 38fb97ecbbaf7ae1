/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_NAMES_H
#define ENGINE_NAMES_H

/* Generated names, "quiet_harbour".  Pure: randomness comes in. */

#include <stdint.h>

/**
 * name_make() - a name from a number
 * @random: any; the same number gives the same name
 * @try:    0 at first; from 1 on the name ends in a digit or more, for when it was taken
 * Return: text owned by the caller.
 */
char *name_make(uint64_t random, unsigned try);

#endif
