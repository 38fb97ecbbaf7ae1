/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/port.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "sys/sock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

/* Two ports on a socket pair, with the streams of two sessions between them. */
struct end {
	struct agent_port *port;
	struct agent_source *source[2];
	struct agent_sink *sink[2];
	const char *broken;
	int n_broken, n_ended;
};

struct wire {
	struct poller *poller;
	struct end a, b; /* a sends, b receives */
	int feed[2], drain[2];
};

static void on_frame(void *arg, const struct agent_frame *f)
{
	struct end *e = arg;
	uint32_t n = 0;
	bool ok = f->session < 2;

	if (ok && f->type == AGENT_DATA)
		ok = agent_sink_data(e->sink[f->session], f->body, f->len);
	if (ok && f->type == AGENT_END)
		agent_sink_end(e->sink[f->session]);
	if (ok && f->type == AGENT_CREDIT)
		ok = agent_get_u32(f, &n) && agent_source_credit(e->source[f->session], n);
	if (!ok)
		agent_port_reject(e->port, "bad peer");
}

static void on_broken(void *arg, const char *why)
{
	struct end *e = arg;

	e->broken = why;
	e->n_broken++;
}

static void on_ended(void *arg)
{
	((struct end *)arg)->n_ended++;
}

static const struct agent_port_ops ops = { .frame = on_frame, .broken = on_broken };

static int set_up(void **state)
{
	struct wire *w = xnew(struct wire);
	int pair[2], in[2], out[2];

	w->poller = poller_new();
	assert_ok(sock_pair(SOCK_STREAM, pair));
	w->a.port = agent_port_new(w->poller, pair[0], &ops, &w->a);
	w->b.port = agent_port_new(w->poller, pair[1], &ops, &w->b);
	for (uint16_t i = 0; i < 2; i++) {
		assert_int_equal(pipe2(in, O_CLOEXEC), 0);
		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
		w->feed[i] = in[1];
		w->drain[i] = out[0];
		fd_set_nonblock(in[1], 1);
		fd_set_nonblock(out[0], 1);
		w->a.source[i] = agent_source_new(
		    &(struct agent_pump) { w->a.port, w->poller, i, AGENT_OUT, in[0] }, on_ended,
		    &w->a);
		w->b.sink[i] = agent_sink_new(
		    &(struct agent_pump) { w->b.port, w->poller, i, AGENT_OUT, out[1] });
	}
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct wire *w = *state;

	for (int i = 0; i < 2; i++) {
		agent_source_free(w->a.source[i]);
		agent_sink_free(w->b.sink[i]);
		if (w->feed[i] >= 0)
			close(w->feed[i]);
		close(w->drain[i]);
	}
	agent_port_free(w->a.port);
	agent_port_free(w->b.port);
	poller_free(w->poller);
	free(w);
	return 0;
}

static void turn(struct wire *w, int n)
{
	while (n--)
		poller_step(w->poller, 0);
}

static size_t stuff(struct wire *w, int i)
{
	char block[4096] = { 'x' };
	size_t total = 0;

	for (int k = 0; k < 200; k++) {
		ssize_t n = write(w->feed[i], block, sizeof(block));

		total += n > 0 ? (size_t)n : 0;
		turn(w, 4);
	}
	return total;
}

static size_t drink(struct wire *w, int i)
{
	char block[4096];
	size_t total = 0;

	for (int idle = 0; idle < 20;) {
		ssize_t n = read(w->drain[i], block, sizeof(block));

		total += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		turn(w, 4);
	}
	return total;
}

static void a_stream_that_nobody_reads_stops_alone(void **state)
{
	struct wire *w = *state;
	char buf[8];
	size_t in = stuff(w, 0);

	/* the pipe of the source, a window, the pipe of the sink */
	assert_in_range(in, AGENT_WINDOW, 4 * AGENT_WINDOW);
	assert_int_equal(write(w->feed[1], "ping", 4), 4);
	turn(w, 8);
	assert_int_equal(read(w->drain[1], buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "ping", 4);
	/* and goes on, without a byte lost, when somebody does */
	assert_int_equal(drink(w, 0), in);
	assert_int_equal(w->a.n_broken + w->b.n_broken, 0);
}

static void the_end_of_a_stream_comes_after_its_last_byte(void **state)
{
	struct wire *w = *state;
	char buf[8];

	assert_int_equal(write(w->feed[0], "bye", 3), 3);
	close(w->feed[0]);
	w->feed[0] = -1;
	turn(w, 10);
	assert_int_equal(w->a.n_ended, 1);
	assert_int_equal(read(w->drain[0], buf, sizeof(buf)), 3);
	assert_int_equal(read(w->drain[0], buf, sizeof(buf)), 0);
	assert_true(agent_sink_is_done(w->b.sink[0]));
}

static void what_is_left_at_the_end_needs_no_reader(void **state)
{
	struct wire *w = *state;
	size_t in = stuff(w, 0);

	agent_sink_rest(w->b.sink[0]);
	agent_source_rest(w->a.source[0]);
	turn(w, 20);
	assert_true(agent_sink_is_done(w->b.sink[0]));
	assert_int_equal(drink(w, 0), in);
}

static void a_reader_that_went_away_does_not_hang_the_writer(void **state)
{
	struct wire *w = *state;

	signal(SIGPIPE, SIG_IGN);
	close(w->drain[0]);
	w->drain[0] = -1;
	assert_int_equal(stuff(w, 0), 200 * 4096);
	assert_int_equal(w->a.n_broken + w->b.n_broken, 0);
}

static void a_peer_that_overruns_its_credit_is_cut_off(void **state)
{
	struct wire *w = *state;
	static const char block[AGENT_BODY_MAX];

	for (int i = 0; i < 20; i++)
		agent_port_send(w->a.port, AGENT_DATA, AGENT_OUT, 1, block, sizeof(block));
	turn(w, 40);
	assert_int_equal(w->b.n_broken, 1);
	assert_string_equal(w->b.broken, "bad peer");
}

static void a_peer_that_grants_too_much_is_cut_off(void **state)
{
	struct wire *w = *state;
	uint8_t body[4];

	agent_port_send(w->b.port, AGENT_CREDIT, AGENT_OUT, 1, body, agent_put_u32(body, 1));
	turn(w, 5);
	assert_int_equal(w->a.n_broken, 1);
}

static void garbage_ends_the_connection_once(void **state)
{
	struct wire *w = *state;
	struct poller *p = w->poller;
	int pair[2];
	struct end e = { 0 };
	OWN(agent_port) struct agent_port *port = NULL;

	assert_ok(sock_pair(SOCK_STREAM, pair));
	port = agent_port_new(p, pair[0], &ops, &e);
	assert_int_equal(write(pair[1], "\xff\xff\xff", 3), 3);
	turn(w, 5);
	close(pair[1]);
	turn(w, 5);
	assert_int_equal(e.n_broken, 1);
	assert_string_equal(e.broken, "no frame");
}

static void a_peer_that_leaves_is_no_error(void **state)
{
	struct wire *w = *state;

	agent_port_free(TAKE(w->a.port));
	turn(w, 5);
	assert_int_equal(w->b.n_broken, 1);
	assert_null(w->b.broken);
}

#define WIRED(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

static void bytes_under_way_are_at_one_end_when_all_stands_still(void **state)
{
	struct wire *w = *state;
	const uint8_t *unsent;
	struct agent_frame f;
	size_t n, used;

	assert_int_equal(write(w->feed[0], "one", 3), 3);
	turn(w, 2);
	agent_port_hold(w->a.port, true);
	assert_int_equal(agent_port_read_all(w->b.port), AGENT_HEADER + 3);
	assert_true(agent_port_has_arrived(w->a.port));
	assert_int_equal(write(w->feed[0], "two", 3), 3);
	turn(w, 8);
	assert_int_equal(agent_port_read_all(w->b.port), AGENT_HEADER + 3);
	unsent = agent_port_unsent(w->a.port, &n);
	assert_int_equal(agent_decode(unsent, n, &f, &used), AGENT_FRAME);
	assert_int_equal(used, n);
	assert_memory_equal(f.body, "two", 3);
	assert_int_equal(drink(w, 0), 3);
	agent_port_hold(w->a.port, false);
	turn(w, 4);
	assert_int_equal(drink(w, 0), 3);
}

static void a_frame_that_is_half_written_is_finished_before_it_holds(void **state)
{
	struct wire *w = *state;
	static const char big[AGENT_BODY_MAX];
	uint64_t came = 0, last;
	size_t n, used;
	struct agent_frame f;
	for (int i = 0; i < 40; i++)
		agent_port_send(w->a.port, AGENT_TEXT, AGENT_IN, 0, big, sizeof(big));
	poller_step(w->poller, 0);
	agent_port_hold(w->a.port, true);
	do {
		last = came;
		came = agent_port_read_all(w->b.port);
		turn(w, 2);
	} while (came != last);
	assert_true(came > 0 && came < 40 * (AGENT_HEADER + sizeof(big)));
	assert_int_equal(came % (AGENT_HEADER + sizeof(big)), 0);
	assert_true(agent_port_has_arrived(w->a.port));
	assert_int_equal(agent_decode(agent_port_unsent(w->a.port, &n), n, &f, &used), AGENT_FRAME);
	assert_int_equal(n, 40 * (AGENT_HEADER + sizeof(big)) - came);
}

static void another_pair_of_ends_goes_on_where_the_first_stood(void **state)
{
	struct wire *w = *state, *second;
	struct agent_pump_state from, to;
	size_t first = stuff(w, 0), got;
	void *other = NULL;

	/* nobody read it: the sender has no credit, the receiver owes it what its pipe and it hold
	 */
	from = agent_source_state(w->a.source[0]);
	assert_int_equal(from.may, 0);
	got = drink(w, 0);
	turn(w, 20);
	from = agent_source_state(w->a.source[0]);
	to = agent_sink_state(w->b.sink[0]);
	assert_true(got <= first);
	assert_int_equal(from.may, to.may);

	set_up(&other);
	second = other;
	agent_source_go_on(second->a.source[1], &(struct agent_pump_state) { .may = 10 });
	agent_sink_go_on(second->b.sink[1],
			 &(struct agent_pump_state) { .may = 10, .owed = 40000 });
	turn(second, 4);
	assert_int_equal(agent_source_state(second->a.source[1]).may, 40010);
	agent_port_preload(second->b.port, "\4\1\1\0\3\0\0\0x", 9, NULL, 0);
	agent_port_preload(second->a.port, NULL, 0, "yz", 2);
	turn(second, 8);
	assert_int_equal(drink(second, 1), 3);
	tear_down(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WIRED(bytes_under_way_are_at_one_end_when_all_stands_still),
		WIRED(a_frame_that_is_half_written_is_finished_before_it_holds),
		WIRED(another_pair_of_ends_goes_on_where_the_first_stood),
		WIRED(a_stream_that_nobody_reads_stops_alone),
		WIRED(the_end_of_a_stream_comes_after_its_last_byte),
		WIRED(what_is_left_at_the_end_needs_no_reader),
		WIRED(a_reader_that_went_away_does_not_hang_the_writer),
		WIRED(a_peer_that_overruns_its_credit_is_cut_off),
		WIRED(a_peer_that_grants_too_much_is_cut_off),
		WIRED(garbage_ends_the_connection_once),
		WIRED(a_peer_that_leaves_is_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
