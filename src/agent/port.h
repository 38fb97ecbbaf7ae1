/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_PORT_H
#define AGENT_PORT_H

/*
 * Port: one end of the connection.  Reads frames and hands them over, queues frames
 * and writes them when there is room.  It always reads: what may come is bounded by
 * the credit of the streams.
 *
 * Pumps carry one stream between the port and a descriptor.  A source reads the
 * descriptor and sends DATA as far as the credit goes; a sink takes DATA, writes it,
 * keeps what does not fit (at most a window) and grants credit for what was written.
 *
 * Context: one thread, the poller's; no call blocks.
 */

#include "agent/frame.h"
#include "sys/poller.h"

struct agent_port;

struct agent_port_ops {
	/* A frame came; borrowed. The port may be freed inside. */
	void (*frame)(void *arg, const struct agent_frame *f);
	/* The connection is over, once: @why is NULL at its end, else what the peer did wrong */
	void (*broken)(void *arg, const char *why);
};

/** agent_port_new() - @fd: consumed, made non-blocking */
struct agent_port *agent_port_new(struct poller *poller, int fd, const struct agent_port_ops *ops,
				  void *arg);
void agent_port_free(struct agent_port *p);

/** agent_port_send() - queue one frame; @len at most AGENT_BODY_MAX */
void agent_port_send(struct agent_port *p, enum agent_type type, enum agent_stream stream,
		     uint16_t session, const void *body, size_t len);

/** agent_port_send_text() - a number and text in one frame (FAILED, ANSWER), cut to fit */
void agent_port_send_text(struct agent_port *p, enum agent_type type, uint16_t session,
			  uint32_t value, const char *text);

/** agent_port_hello() - queue our HELLO */
void agent_port_hello(struct agent_port *p);

/** agent_port_reject() - report @why by broken() from the poller; nothing more is read */
void agent_port_reject(struct agent_port *p, const char *why);

/** agent_port_is_idle() - is everything queued written? */
bool agent_port_is_idle(const struct agent_port *p);

/*
 * Standing still: the bytes under way belong to neither end, so before the guest's state is written
 * nothing more is sent and what was sent arrives; what the guest sent is read; the rest is told
 * here.
 */

/** agent_port_hold() - @on: finish the frame that is half written, and queue what comes then */
void agent_port_hold(struct agent_port *p, bool on);

/** agent_port_has_arrived() - of a held port on a unix socket: the peer took all that was sent */
bool agent_port_has_arrived(const struct agent_port *p);

/**
 * agent_port_read_all() - what is there now, without waiting for the poller
 * Return: bytes that ever came.  Context: frames are handed over; not inside a frame callback.
 */
uint64_t agent_port_read_all(struct agent_port *p);

/** agent_port_unread() - the beginning of a frame that has not come whole; borrowed */
const void *agent_port_unread(const struct agent_port *p, size_t *ret_len);

/** agent_port_unsent() - whole frames that a held port has queued; borrowed */
const void *agent_port_unsent(const struct agent_port *p, size_t *ret_len);

/** agent_port_preload() - begin with what another port of the same guest had unread and unsent */
void agent_port_preload(struct agent_port *p, const void *unread, size_t n_unread,
			const void *unsent, size_t n_unsent);

/* ---- pumps ---- */

struct agent_source;
struct agent_sink;

struct agent_pump {
	struct agent_port *port;
	struct poller *poller;
	uint16_t session;
	enum agent_stream stream;
	int fd; /* consumed, made non-blocking */
};

/**
 * agent_source_new() - descriptor to frames; sends END at its end of file
 * @ended: called once from the poller after END was queued; may free the source; NULL is fine
 */
struct agent_source *agent_source_new(const struct agent_pump *how, void (*ended)(void *arg),
				      void *arg);

/* Where a stream stands, so that another pump can go on with it. */
struct agent_pump_state {
	uint32_t may, owed; /* struct agent_credit */
	uint32_t is_ended;  /* END was sent, or came */
};

/** agent_source_state() - what may be sent yet */
struct agent_pump_state agent_source_state(const struct agent_source *s);

/** agent_source_go_on() - a new source continues another one, which had not ended */
void agent_source_go_on(struct agent_source *s, const struct agent_pump_state *from);

/** agent_source_credit() - CREDIT came; false: the peer grants too much */
bool agent_source_credit(struct agent_source *s, uint32_t n);

/** agent_source_rest() - send what is there now without credit, then END; nothing follows */
void agent_source_rest(struct agent_source *s);
void agent_source_free(struct agent_source *s);

struct agent_sink *agent_sink_new(const struct agent_pump *how);

/** agent_sink_data() - DATA came; false: more than the credit allows */
bool agent_sink_data(struct agent_sink *s, const void *data, size_t len);

/** agent_sink_end() - END came: the descriptor is closed once all is written */
void agent_sink_end(struct agent_sink *s);

/**
 * agent_sink_rest() - up to AGENT_REST more bytes come without credit, and must fit
 * Grows the pipe's or socket's buffer so that nothing depends on the reader any more.
 */
void agent_sink_rest(struct agent_sink *s);

/** agent_sink_make_room() - grow the pipe, so that all that came can go on to the reader */
void agent_sink_make_room(struct agent_sink *s);

/** agent_sink_state() - what is pending counts as passed on */
struct agent_pump_state agent_sink_state(const struct agent_sink *s);

/** agent_sink_go_on() - a new sink continues another one; grants what that one owed */
void agent_sink_go_on(struct agent_sink *s, const struct agent_pump_state *from);

/** agent_sink_is_done() - END came and all is written, or nobody reads any more */
bool agent_sink_is_done(const struct agent_sink *s);
void agent_sink_free(struct agent_sink *s);

DEFINE_OWN(agent_port, agent_port_free)

#endif
