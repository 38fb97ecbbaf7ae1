/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_FRAME_H
#define AGENT_FRAME_H

/*
 * Frames between hostel-shim (the host) and hostel-guest, over one virtio console
 * port, the same under every monitor.
 *
 * A frame is a header of 8 bytes and a body of at most AGENT_BODY_MAX, all numbers
 * little-endian:
 *
 *	u8 type, u8 stream, u16 session, u32 body length
 *
 * Session 0 is the payload, every exec has a number of its own, never used twice.
 * DATA, END and CREDIT belong to one stream of a session; each direction of each
 * stream starts with AGENT_WINDOW bytes of credit, so a stream that nobody reads
 * stops alone.  After EXITED of session 0 what the payload had left in its pipes (at
 * most AGENT_REST per stream) is sent without asking for credit.
 *
 *	host                         guest
 *	HELLO, TEXT…, START 0   ──>
 *	                        <──  HELLO, STARTED 0 or FAILED 0
 *	DATA/END/CREDIT         <─>  DATA/END/CREDIT
 *	SIGNAL, RESIZE, TEXT+START n, QUERY ──>
 *	                        <──  STARTED/FAILED/EXITED n, OOM, ANSWER
 *	SHUTDOWN (optional)     ──>
 *	                        <──  EXITED 0, rest of DATA, END, BYE: all is on disk
 *
 * The guest is not trusted: whatever breaks these rules ends the connection.
 *
 * Pure: encoding and decoding only.  agent/port.h does the reading and writing.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/str.h"

#define AGENT_VERSION  1
#define AGENT_MAGIC    0x6c747368u /* "hstl" */
#define AGENT_HEADER   8
#define AGENT_BODY_MAX (16u * 1024)
#define AGENT_WINDOW   (64u * 1024)
#define AGENT_REST     (192u * 1024)
#define AGENT_TEXT_MAX (4u * 1024 * 1024) /* of all TEXT of one session */

enum agent_type {
	AGENT_HELLO = 1,  /* both: struct agent_hello */
	AGENT_TEXT = 2,   /* host: a piece of the JSON of the START to come */
	AGENT_START = 3,  /* host: the JSON is whole; struct agent_start */
	AGENT_DATA = 4,   /* both */
	AGENT_END = 5,    /* both: no more DATA on this stream */
	AGENT_CREDIT = 6, /* both: u32 more bytes may be sent */
	AGENT_SIGNAL = 7, /* host: u32 number */
	AGENT_RESIZE = 8, /* host: u16 rows, u16 columns */
	AGENT_QUERY = 9,  /* host: text; session is the answer's; "renew" takes TEXT before it */
	AGENT_SHUTDOWN = 10,
	AGENT_STARTED = 11, /* guest: u32 pid inside */
	AGENT_FAILED = 12,  /* guest: u32 enum err_kind, text */
	AGENT_EXITED = 13,  /* guest: u32 code, u32 flags */
	AGENT_OOM = 14,     /* guest: u32 0, text: who was killed for memory, before its EXITED */
	AGENT_ANSWER = 15,  /* guest: u32 enum err_kind or AGENT_DONE, text */
	AGENT_BYE = 16,     /* guest: nothing runs, all is on disk */
	AGENT_TIME = 17,    /* host: u64 wall clock in ns, to set the guest's */
	AGENT_TYPES,
};

#define AGENT_DONE 0xffffffffu

enum agent_stream { AGENT_IN, AGENT_OUT, AGENT_ERR, AGENT_STREAMS };

/** agent_type_name() - "hello", "data", …; "?" for a number that is no type; static storage */
const char *agent_type_name(unsigned type);

struct agent_frame {
	uint8_t type;   /* enum agent_type */
	uint8_t stream; /* enum agent_stream */
	uint16_t session;
	uint32_t len;
	const uint8_t *body; /* borrowed from the input */
};

enum agent_decoded {
	AGENT_MORE, /* not a whole frame yet */
	AGENT_FRAME,
	AGENT_BAD, /* no frame can begin like this */
};

/**
 * agent_decode() - the frame at the start of a buffer
 * @ret:      set when AGENT_FRAME
 * @ret_used: bytes it took, set when AGENT_FRAME
 */
enum agent_decoded agent_decode(const void *buf, size_t len, struct agent_frame *ret,
				size_t *ret_used);

/** agent_frame_size() - header and body, by a whole header of ours */
size_t agent_frame_size(const void *header);

/** agent_encode() - append a frame; @f->len is at most AGENT_BODY_MAX */
void agent_encode(struct str *out, const struct agent_frame *f);

/* Bodies.  Writers fill a small buffer; readers say false for a body that is too short. */

struct agent_hello {
	uint16_t oldest, newest; /* versions that the sender speaks */
	uint32_t window;         /* initial credit of each stream, AGENT_WINDOW */
};

enum agent_start_flags {
	AGENT_START_TTY = 1,
	AGENT_START_STDIN = 2,
	AGENT_START_IDLE = 4, /* no process: the guest alone, for exec */
};

struct agent_start {
	uint32_t flags;
	uint16_t rows, cols;
};

#define AGENT_EXITED_OOM 1u

size_t agent_put_hello(uint8_t buf[12], const struct agent_hello *h);
bool agent_get_hello(const struct agent_frame *f, struct agent_hello *ret);

size_t agent_put_start(uint8_t buf[8], const struct agent_start *s);
bool agent_get_start(const struct agent_frame *f, struct agent_start *ret);

size_t agent_put_u32(uint8_t buf[4], uint32_t value);
bool agent_get_u32(const struct agent_frame *f, uint32_t *ret);

size_t agent_put_u64(uint8_t buf[8], uint64_t value);
bool agent_get_u64(const struct agent_frame *f, uint64_t *ret);

size_t agent_put_size(uint8_t buf[4], uint16_t rows, uint16_t cols);
bool agent_get_size(const struct agent_frame *f, uint16_t *ret_rows, uint16_t *ret_cols);

size_t agent_put_exited(uint8_t buf[8], uint32_t code, uint32_t flags);
bool agent_get_exited(const struct agent_frame *f, uint32_t *ret_code, uint32_t *ret_flags);

/** agent_get_text() - a number and the text after it (FAILED, ANSWER); the text is borrowed */
bool agent_get_text(const struct agent_frame *f, uint32_t *ret_value, const char **ret_text,
		    size_t *ret_len);

/** agent_version_of() - the version both speak, or 0 */
unsigned agent_version_of(const struct agent_hello *peer);

/*
 * Credit of one direction of one stream, as its sender and its receiver count it.
 */
struct agent_credit {
	uint32_t may;  /* sender: bytes that may be sent; receiver: bytes that may come */
	uint32_t owed; /* receiver: consumed, not yet granted again */
};

#define AGENT_CREDIT_INIT                                                                          \
	{                                                                                          \
		.may = AGENT_WINDOW                                                                \
	}

/** agent_credit_add() - sender: the peer grants @n; false: more than a window is out (bad peer) */
bool agent_credit_add(struct agent_credit *c, uint32_t n);

/** agent_credit_use() - either: @n bytes were sent or came; false: it was not allowed */
bool agent_credit_use(struct agent_credit *c, uint32_t n);

/**
 * agent_credit_consume() - receiver: @n bytes were passed on
 * Return: how much to grant now, 0 until half a window came together.
 */
uint32_t agent_credit_consume(struct agent_credit *c, uint32_t n);

#endif
