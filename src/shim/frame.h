/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_FRAME_H
#define SHIM_FRAME_H

/*
 * Docker's frame in front of each piece of output on a stream that is no
 * terminal: number of the stream, three zero bytes, length in big-endian order.
 */

#include <stdint.h>

#include "shim/proto.h"
#include "util/str.h"

#define FRAME_BYTES 8

/** frame_put() - the frame of @len bytes of @stream (SHIM_STDOUT, SHIM_STDERR) */
static inline void frame_put(unsigned char frame[FRAME_BYTES], int stream, size_t len)
{
	frame[0] = stream == SHIM_STDERR ? 2 : 1;
	frame[1] = frame[2] = frame[3] = 0;
	frame[4] = (unsigned char)(len >> 24);
	frame[5] = (unsigned char)(len >> 16);
	frame[6] = (unsigned char)(len >> 8);
	frame[7] = (unsigned char)len;
}

/** frame_add() - the same, appended to a string */
static inline void frame_add(struct str *s, int stream, size_t len)
{
	unsigned char frame[FRAME_BYTES];

	frame_put(frame, stream, len);
	str_add(s, frame, sizeof(frame));
}

#endif
