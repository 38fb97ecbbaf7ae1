/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every state that two daemons and the wires between them can be in, reached from one instance at
 * the source by all orders of: words said and heard, links cut (each side notices it when it does),
 * daemons killed, users who cancel, and, in the second walk, users who decide by hand.
 */
#include <string.h>

#include "model/handover.h"
#include "util/mem.h"
#include "util/test.h"

#define WIRE_MAX 4

struct wire {
	uint8_t n, words[WIRE_MAX]; /* enum handover_say, oldest first */
};

struct world {
	uint8_t source, target; /* enum handover_state */
	bool source_up, target_up, has_begun;
	struct wire to_target, to_source;
};

static const struct world beginning = { .source = HANDOVER_HERE, .target = HANDOVER_ABSENT };

static bool say(struct wire *w, bool is_up, enum handover_say word)
{
	if (word == SAY_NOTHING || !is_up)
		return true;
	if (w->n == WIRE_MAX)
		return false;
	w->words[w->n++] = (uint8_t)word;
	return true;
}

static enum handover_say take(struct wire *w)
{
	enum handover_say word = w->words[0];

	memmove(w->words, w->words + 1, --w->n);
	w->words[w->n] = 0;
	return word;
}

/* Return: did it happen?  A wire that is full makes who speaks wait: it did not. */
static bool at_source(struct world *w, enum handover_event ev)
{
	struct handover_step s = handover_step(w->source, ev);

	if (s.is_refused)
		return false;
	w->source = (uint8_t)s.next;
	return say(&w->to_target, w->source_up && w->target_up, s.say);
}

static bool at_target(struct world *w, enum handover_event ev)
{
	struct handover_step s = handover_step(w->target, ev);

	if (s.is_refused)
		return false;
	w->target = (uint8_t)s.next;
	return say(&w->to_source, w->source_up && w->target_up, s.say);
}

/* ---- what can happen ---- */

static bool begin(struct world *w)
{
	if (w->has_begun)
		return false;
	w->has_begun = true;
	return at_source(w, HANDOVER_BEGIN);
}

static bool cut_target(struct world *w)
{
	if (!w->target_up)
		return false;
	w->target_up = false;
	w->to_target = (struct wire) { 0 };
	return at_target(w, HANDOVER_CUT);
}

static bool cut_source(struct world *w)
{
	if (!w->source_up)
		return false;
	w->source_up = false;
	w->to_source = (struct wire) { 0 };
	return at_source(w, HANDOVER_CUT);
}

static bool link_up(struct world *w)
{
	if (w->source_up || !handover_has_to_say(w->source))
		return false;
	cut_target(w); /* a new connection ends the one before */
	w->to_source = (struct wire) { 0 };
	w->source_up = w->target_up = true;
	return at_source(w, HANDOVER_LINKED);
}

static bool source_dies(struct world *w)
{
	w->source_up = false;
	w->to_source = (struct wire) { 0 };
	return at_source(w, HANDOVER_RECOVER);
}

static bool target_dies(struct world *w)
{
	w->target_up = false;
	w->to_target = (struct wire) { 0 };
	return at_target(w, HANDOVER_RECOVER);
}

static bool target_hears(struct world *w)
{
	return w->to_target.n && at_target(w, handover_heard(take(&w->to_target)));
}

static bool source_hears(struct world *w)
{
	return w->to_source.n && at_source(w, handover_heard(take(&w->to_source)));
}

static bool data_comes(struct world *w)
{
	return w->target_up && at_target(w, HANDOVER_WHOLE);
}

static bool source_cancels(struct world *w)
{
	return at_source(w, HANDOVER_CANCEL);
}

static bool target_fails(struct world *w)
{
	return at_target(w, HANDOVER_CANCEL);
}

static bool source_hand_here(struct world *w)
{
	return at_source(w, HANDOVER_HAND_HERE);
}

static bool source_hand_there(struct world *w)
{
	return at_source(w, HANDOVER_HAND_THERE);
}

static bool target_hand_here(struct world *w)
{
	return at_target(w, HANDOVER_HAND_HERE);
}

static bool target_hand_there(struct world *w)
{
	return at_target(w, HANDOVER_HAND_THERE);
}

static bool (*const happenings[])(struct world *w) = {
	begin,        cut_source,       cut_target,        link_up,          source_dies,
	target_dies,  target_hears,     source_hears,      data_comes,       source_cancels,
	target_fails, source_hand_here, source_hand_there, target_hand_here, target_hand_there,
};
#define HANDS 4 /* the last ones */

/* ---- what must hold ---- */

/* From here on nothing fails any more. */
static struct world settled(struct world w)
{
	cut_source(&w);
	cut_target(&w);
	for (int n = 0; n < 4; n++) {
		link_up(&w);
		while (target_hears(&w) || source_hears(&w) || data_comes(&w))
			;
	}
	return w;
}

static void describe(const char *what, const struct world *w)
{
	print_error("%s: source %s (%s), target %s (%s), %u and %u words on the wires\n", what,
		    handover_state_name(w->source), w->source_up ? "up" : "down",
		    handover_state_name(w->target), w->target_up ? "up" : "down", w->to_target.n,
		    w->to_source.n);
}

static void must(bool is_so, const char *what, const struct world *w)
{
	if (!is_so)
		describe(what, w);
	assert_true(is_so);
}

static void check(const struct world *w, bool has_hands)
{
	struct world end = settled(*w);
	bool source = handover_may_run(w->source), target = handover_may_run(w->target);

	must(has_hands || !(source && target), "both may run", w);
	must(handover_has_it(w->source) || handover_has_it(w->target), "nobody has it", w);
	if (w->has_begun) {
		must(handover_may_run(end.source) != handover_may_run(end.target),
		     "not exactly one runs when they have talked", w);
		must(has_hands || !handover_is_doubtful(end.target), "the target stays in doubt",
		     w);
		must(!handover_is_doubtful(end.source), "the source stays in doubt", w);
		must(!handover_has_to_say(end.source), "the source is not heard out", w);
	}
}

struct walk {
	struct world *seen;
	size_t n, room;
	bool pairs[HANDOVER_STATES][HANDOVER_STATES];
};

static bool is_same(const struct world *a, const struct world *b)
{
	return a->source == b->source && a->target == b->target && a->source_up == b->source_up &&
	       a->target_up == b->target_up && a->has_begun == b->has_begun &&
	       !memcmp(&a->to_target, &b->to_target, sizeof(a->to_target)) &&
	       !memcmp(&a->to_source, &b->to_source, sizeof(a->to_source));
}

static void reach(struct walk *k, const struct world *w)
{
	for (size_t n = 0; n < k->n; n++)
		if (is_same(&k->seen[n], w))
			return;
	if (k->n == k->room) {
		k->room = k->room ? k->room * 2 : 1024;
		k->seen = xrealloc(k->seen, k->room, sizeof(*k->seen));
	}
	k->seen[k->n++] = *w;
	k->pairs[w->source][w->target] = true;
}

static struct walk walk_through(bool has_hands)
{
	struct walk k = { 0 };
	size_t kinds = ARRAY_SIZE(happenings) - (has_hands ? 0 : HANDS);

	reach(&k, &beginning);
	for (size_t at = 0; at < k.n; at++) {
		check(&k.seen[at], has_hands);
		for (size_t n = 0; n < kinds; n++) {
			struct world w = k.seen[at];

			if (happenings[n](&w))
				reach(&k, &w);
		}
	}
	return k;
}

static void never_do_both_run_and_exactly_one_does_in_the_end(void **state)
{
	struct walk k = walk_through(false);

	(void)state;
	print_message("%zu states of two daemons\n", k.n);
	assert_true(k.n > 50);
	assert_true(k.pairs[HANDOVER_GIVEN][HANDOVER_PREPARED]);
	assert_true(k.pairs[HANDOVER_GIVEN][HANDOVER_TAKEN]);
	assert_true(k.pairs[HANDOVER_GONE][HANDOVER_TAKEN]);
	assert_true(k.pairs[HANDOVER_ABORTING][HANDOVER_PREPARED]);
	assert_false(k.pairs[HANDOVER_SENDING][HANDOVER_TAKEN]);
	assert_false(k.pairs[HANDOVER_GIVEN][HANDOVER_ABSENT]);
	free(k.seen);
}

static void hands_may_make_both_run_but_only_until_they_talk(void **state)
{
	struct walk k = walk_through(true);

	(void)state;
	print_message("%zu states of two daemons and their users\n", k.n);
	assert_true(k.pairs[HANDOVER_RECLAIMED][HANDOVER_TAKEN]);
	assert_true(k.pairs[HANDOVER_HERE][HANDOVER_RETURNED]);
	assert_true(k.pairs[HANDOVER_YIELDED][HANDOVER_SEIZED]);
	free(k.seen);
}

static void what_makes_no_sense_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		enum handover_state state;
		enum handover_event event;
	} cases[] = {
		{ HANDOVER_SENDING, HANDOVER_BEGIN },
		{ HANDOVER_GIVEN, HANDOVER_CANCEL },
		{ HANDOVER_GIVEN, HANDOVER_BEGIN },
		{ HANDOVER_SENDING, HANDOVER_HAND_THERE },
		{ HANDOVER_TAKEN, HANDOVER_HAND_THERE },
		{ HANDOVER_RECEIVING, HANDOVER_COMMIT },
		{ HANDOVER_RETURNED, HANDOVER_HAND_HERE },
		{ HANDOVER_GONE, HANDOVER_HAND_HERE },
	};

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
		struct handover_step s = handover_step(cases[n].state, cases[n].event);

		assert_true(s.is_refused);
		assert_int_equal(s.next, cases[n].state);
		assert_int_equal(s.say, SAY_NOTHING);
	}
}

static void names_go_both_ways(void **state)
{
	enum handover_state s;

	(void)state;
	for (unsigned n = 0; n < HANDOVER_STATES; n++) {
		assert_true(handover_state_by_name(handover_state_name(n), &s));
		assert_int_equal(s, n);
	}
	assert_false(handover_state_by_name("lost", &s));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_do_both_run_and_exactly_one_does_in_the_end),
		cmocka_unit_test(hands_may_make_both_run_but_only_until_they_talk),
		cmocka_unit_test(what_makes_no_sense_is_refused_and_changes_nothing),
		cmocka_unit_test(names_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
