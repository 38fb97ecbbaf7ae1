/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/poller.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/test.h"

#define MS INT64_C(1000000)

struct counter {
	struct poller *p;
	struct poll_watch *watch, *other;
	struct poll_timer *timer;
	int calls;
	short revents;
};

static void count(void *arg, short revents)
{
	struct counter *c = arg;

	c->calls++;
	c->revents = revents;
}

static void count_timer(void *arg)
{
	struct counter *c = arg;

	c->calls++;
}

static void free_both(void *arg, short revents)
{
	struct counter *c = arg;

	count(arg, revents);
	poll_watch_free(c->watch);
	poll_watch_free(c->other);
	c->watch = c->other = NULL;
}

static void free_own_timer(void *arg)
{
	struct counter *c = arg;

	count_timer(arg);
	poll_timer_free(c->timer);
	c->timer = poll_timer_new(c->p, 0, count_timer, c);
}

static void a_watch_is_called_while_its_event_is_there(void **state)
{
	struct counter c = { .p = poller_new() };
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	c.watch = poll_watch_new(c.p, p[0], POLLIN, count, &c);
	poller_step(c.p, 0);
	assert_int_equal(c.calls, 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	poller_step(c.p, -1);
	poller_step(c.p, -1);
	assert_int_equal(c.calls, 2);
	poll_watch_set(c.watch, 0);
	close(p[1]); /* paused: not even the hang-up is told */
	poller_step(c.p, 0);
	assert_int_equal(c.calls, 2);
	poll_watch_set(c.watch, POLLER_ERRORS_ONLY);
	poller_step(c.p, -1);
	assert_int_equal(c.calls, 3);
	assert_int_equal(c.revents, POLLHUP);
	poll_watch_free(c.watch);
	close(p[0]);
	poller_free(c.p);
}

static void a_half_closed_peer_is_no_hang_up(void **state)
{
	struct counter c = { .p = poller_new() };
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	c.watch = poll_watch_new(c.p, s[0], POLLER_ERRORS_ONLY, count, &c);
	shutdown(s[1], SHUT_WR);
	poller_step(c.p, 0);
	assert_int_equal(c.calls, 0);
	close(s[1]);
	poller_step(c.p, -1);
	assert_int_equal(c.calls, 1);
	poll_watch_free(c.watch);
	close(s[0]);
	poller_free(c.p);
}

static void a_callback_may_free_itself_and_others(void **state)
{
	struct counter c = { .p = poller_new() };
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	c.watch = poll_watch_new(c.p, p[0], POLLIN, free_both, &c);
	c.other = poll_watch_new(c.p, p[0], POLLIN, free_both, &c);
	poller_step(c.p, -1);
	assert_int_equal(c.calls, 1); /* whichever came first freed both */
	poller_step(c.p, 0);
	assert_int_equal(c.calls, 1);
	close(p[0]);
	close(p[1]);
	poller_free(c.p);
}

static void a_timer_fires_once_and_not_early(void **state)
{
	struct counter c = { .p = poller_new() };
	int64_t begin = clock_boot_ns();
	struct poll_timer *t = poll_timer_new(c.p, 20 * MS, count_timer, &c);

	(void)state;
	while (!c.calls)
		poller_step(c.p, -1);
	assert_true(clock_boot_ns() - begin >= 20 * MS);
	/* Fired but not freed, it neither shortens a wait nor makes it endless. */
	begin = clock_boot_ns();
	poller_step(c.p, 30 * MS);
	assert_true(clock_boot_ns() - begin >= 30 * MS);
	assert_int_equal(c.calls, 1);
	poll_timer_free(t);
	poller_free(c.p);
}

static void a_timer_s_callback_may_free_it_and_start_another(void **state)
{
	struct counter c = { .p = poller_new() };

	(void)state;
	c.timer = poll_timer_new(c.p, 0, free_own_timer, &c);
	poller_step(c.p, -1);
	poller_step(c.p, -1);
	assert_int_equal(c.calls, 2);
	poll_timer_free(c.timer);
	poller_free(c.p);
}

static void a_very_long_wait_is_not_taken_for_none(void **state)
{
	struct counter c = { .p = poller_new() };
	struct poll_timer *t = poll_timer_new(c.p, INT64_MAX / 2, count_timer, &c);
	struct poll_timer *soon = poll_timer_new(c.p, 10 * MS, count_timer, &c);

	(void)state;
	while (!c.calls)
		poller_step(c.p, -1);
	poll_timer_free(soon);
	poller_step(c.p, 5 * MS);
	assert_int_equal(c.calls, 1);
	poll_timer_free(t);
	poller_free(c.p);
}

static void what_is_left_goes_with_the_poller(void **state)
{
	struct counter c = { .p = poller_new() };

	(void)state;
	poll_watch_new(c.p, 0, POLLIN, count, &c);
	poll_timer_new(c.p, 1, count_timer, &c);
	poller_free(c.p); /* LeakSanitizer looks */
	poller_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_watch_is_called_while_its_event_is_there),
		cmocka_unit_test(a_half_closed_peer_is_no_hang_up),
		cmocka_unit_test(a_callback_may_free_itself_and_others),
		cmocka_unit_test(a_timer_fires_once_and_not_early),
		cmocka_unit_test(a_timer_s_callback_may_free_it_and_start_another),
		cmocka_unit_test(a_very_long_wait_is_not_taken_for_none),
		cmocka_unit_test(what_is_left_goes_with_the_poller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
