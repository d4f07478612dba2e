/*
 * queue.pml: one message and the notice that it may give birth to, what of each is in the page cache and on the disk, and kills and power
 * cuts at any moment. Checked by regress/run model; each BREAK_ is one rule of queue/STATES.md broken, and must be found.
 *
 * A kill leaves the cache. A power cut leaves what was synced, and of each later write, by chance, all or nothing.
 */
#define CRASHES	3

mtype = { NONE, PENDING, DONE, NEVER };		/* a record's mark; NONE: no record */

mtype rec_c = NONE, rec_d = NONE;		/* the message: in the cache, on the disk */
mtype note_c = NONE, note_d = NONE;		/* the notice */
bool accepted, delivered, refused, told;	/* what the world saw: the 250, a copy, the notice in the sender's mailbox */
byte copies, crashes, failures;

/* What was accepted has one of its ends, or is still to be done. */
#define ACCOUNTED	(!accepted || delivered || told || rec_c == PENDING || note_c == PENDING)
/* What was not delivered is done only if the notice of it is on the disk. */
#define NOTICE_FIRST	(rec_c != DONE || delivered || note_d == PENDING || note_d == DONE)
#define ONE_COPY	(copies <= 1 || crashes > 0)

inline check() {
	assert(ACCOUNTED);
	assert(NOTICE_FIRST);
	assert(ONE_COPY)
}

inline power_cut() {
	if
	:: rec_d = rec_c
	:: skip
	fi;
	if
	:: note_d = note_c
	:: skip
	fi;
	rec_c = rec_d;
	note_c = note_d
}

/* The end of a step: here everything may end. */
#define MAYBE_CRASH \
	if \
	:: crashes < CRASHES -> crashes++; goto start \
	:: crashes < CRASHES -> d_step { crashes++ }; power_cut(); goto start \
	:: skip \
	fi

active proctype queue() {
	/* intake */
	rec_c = PENDING;
#ifdef BREAK_250_BEFORE_SYNC
	accepted = true;
#endif
	MAYBE_CRASH;
	if
	:: rec_d = rec_c; accepted = true
	:: failures == 0 -> failures++; rec_c = NEVER	/* 4xx */
	fi;
	MAYBE_CRASH;
	goto work;

start:	/* what is relied on is synced first */
#ifndef BREAK_SYNC_AT_START
	rec_d = rec_c;
	note_d = note_c;
#endif
	if
#ifdef BREAK_NEVER_IS_BORN
	:: rec_c == PENDING && note_c != NONE -> rec_c = DONE
#else
	:: rec_c == PENDING && (note_c == PENDING || note_c == DONE) -> rec_c = DONE
#endif
	:: else
	fi;
	check();

work:
	do
	:: rec_c == PENDING && !refused ->
		copies++; delivered = true;
		MAYBE_CRASH;
#ifdef BREAK_MARK_AFTER_DELIVERY
		if
		:: rec_c = DONE
		:: skip
		fi;
#else
		rec_c = DONE;
#endif
		check();
		MAYBE_CRASH
	:: rec_c == PENDING && !delivered ->
		refused = true;
#ifdef BREAK_MARK_BEFORE_NOTICE
		rec_c = DONE;
		MAYBE_CRASH;
#endif
		note_c = PENDING;
		MAYBE_CRASH;
		if
		:: note_d = note_c; MAYBE_CRASH; rec_c = DONE
		:: failures == 0 -> failures++; note_c = NEVER	/* tried again by the loop */
		fi;
		check();
		MAYBE_CRASH
	:: note_c == PENDING && rec_c != PENDING ->
		told = true;
		MAYBE_CRASH;
		note_c = DONE;
		check();
		MAYBE_CRASH
	:: rec_d = rec_c; note_d = note_c	/* marks, a second later */
	:: rec_c != PENDING && note_c != PENDING -> break
	od;
	check()
}
