package main

import "time"

var managementKinds = []kind{
	{
		name: "mgt-killed", does: "the management server is killed for 5 s",
		modes: everyMode, never: true, acts: []act{kill(mgt), pause(5 * time.Second), start(mgt)},
	},
	{
		name: "mgt-hangs", does: "the management server stands still for 5 s",
		modes: everyMode, never: true, acts: []act{hang(mgt), pause(5 * time.Second), resume(mgt)},
	},
	{
		name: "mgt-hangs-at-claim", does: "the recording server hangs for 2.3 s, and the management server while it is claimed: it reads the claim when its reason is gone",
		modes: everyMode, never: true, acts: []act{
			hang(rec), pause(1300 * time.Millisecond), hang(mgt), pause(time.Second), resume(rec), pause(3 * time.Second), resume(mgt), pause(3 * time.Second),
		},
	},
	{
		name: "mgt-dead-before", does: "the management server is dead when the recording server is killed; it is started after the takeover, then the recording server",
		modes: everyMode, acts: []act{kill(mgt), pause(time.Second), strike(takeover, fast, every, kill(rec), records(fo)), start(mgt), holds(fo), backHome()},
	},
	{
		name: "mgt-dead-throughout", does: "the management server is dead from before the recording server is killed until it is back",
		modes: everyMode, acts: []act{kill(mgt), pause(time.Second), strike(takeover, fast, every, kill(rec), records(fo)), backHome(), pause(time.Second), start(mgt)},
	},
	{
		name: "mgt-dies-at-claim", does: "the management server is killed at some moment of the takeover, and started 3 s later",
		modes: everyMode, acts: []act{
			strike(takeover, fast, every, kill(rec), moment(50*time.Millisecond, 800*time.Millisecond), kill(mgt), records(fo)),
			pause(3 * time.Second), start(mgt), holds(fo), backHome(),
		},
	},
	{
		name: "mgt-dies-at-claim-cold", does: "the management server is killed at some moment of the takeover, and started again at once",
		modes: everyMode, acts: []act{
			strike(takeover, silent, every, kill(rec), moment(50*time.Millisecond, 800*time.Millisecond), kill(mgt), start(mgt), records(fo)), holds(fo), backHome(),
		},
	},
	{
		name: "mgt-dies-in-failback", does: "the management server is killed at some moment of the failback, and started 2 s later",
		modes: everyMode, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), backHome(), moment(0, 3*time.Second), kill(mgt), pause(2 * time.Second), start(mgt),
		},
	},
	{
		name: "mgt-dies-in-merge", does: "the management server is killed while footage goes home, and started 2 s later",
		modes: everyMode, mergeRate: slowMerge, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(3 * time.Second), start(rec), records(rec), holds(rec),
			moment(0, 2*time.Second), kill(mgt), pause(2 * time.Second), start(mgt),
		},
	},
	{
		name: "mgt-cut-then-kill", does: "the failover server does not reach the management server when the recording server is killed; mended after the takeover",
		modes: everyMode, acts: []act{cut(fo, mgt), pause(time.Second), strike(takeover, silent, every, kill(rec), records(fo)), mend(), holds(fo), backHome()},
	},
	{
		name: "mgt-restored", does: "the management server's database is replaced by a copy of before a takeover and a failback",
		modes: everyMode, acts: []act{
			backup(), pause(2 * time.Second), strike(takeover, fast, every, kill(rec), records(fo)), holds(fo), backHome(), holds(rec),
			kill(mgt), restore(), start(mgt), pause(2 * time.Second),
		},
	},
	{
		name: "mgt-restored-in-takeover", does: "the management server's database is replaced by a copy of before the takeover while it lasts",
		modes: everyMode, acts: []act{
			backup(), pause(2 * time.Second), strike(takeover, fast, every, kill(rec), records(fo)), holds(fo),
			kill(mgt), restore(), start(mgt), pause(3 * time.Second), backHome(),
		},
	},
}
