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

/** agent_sink_is_done() - END came and all is written, or nobody reads any more */
bool agent_sink_is_done(const struct agent_sink *s);
void agent_sink_free(struct agent_sink *s);

DEFINE_OWN(agent_port, agent_port_free)

#endif
