package main

import "time"

var failoverKinds = []kind{
	{
		name: "fo-killed-idle", does: "the failover server is killed while all is well; started again",
		modes: everyMode, never: true, acts: []act{kill(fo), pause(2 * time.Second), start(fo), pause(2 * time.Second)},
	},
	{
		name: "fo-paused", does: "the failover server stands still for 4 s while all is well, twice",
		modes: everyMode, never: true, acts: []act{stutter(fo, 4*time.Second), stutter(fo, 4*time.Second)},
	},
	{
		name: "fo-killed-at-claim", does: "the recording server is killed, and the failover server at some moment of the decision or the claim; it is started again at once",
		modes: everyMode, acts: []act{doubled(50*time.Millisecond, 500*time.Millisecond), backHome()},
	},
	{
		name: "fo-killed-early", does: "the recording server is killed, and the failover server before or just after its first footage is durable; it is started again at once",
		modes: everyMode, acts: []act{doubled(400*time.Millisecond, 2*time.Second), backHome()},
	},
	{
		name: "fo-killed-later", does: "the failover server is killed while it stands in, and started again at once",
		modes: everyMode, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), moment(time.Second, 3*time.Second),
			strike(outage, silent, every, kill(fo), start(fo), records(fo)), backHome(),
		},
	},
	{
		name: "fo-power", does: "the failover server loses power while it stands in; switched on again",
		modes: everyMode, disks: []string{fo}, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), moment(time.Second, 3*time.Second),
			strike(outage, silent, every, powerOff(fo), powerOn(fo), records(fo)), backHome(),
		},
	},
	{
		name: "fo-stopped", does: "the failover server is stopped in order while it stands in; started again",
		modes: hotOnly, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(2 * time.Second),
			strike(outage, sick, every, stop(fo), start(fo), records(fo)), backHome(),
		},
	},
	{
		name: "fo-hangs", does: "the failover server stands still for 3 s while it stands in",
		modes: everyMode, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(2 * time.Second),
			strike(outage, silent, every, hang(fo), pause(3*time.Second), resume(fo), records(fo)), backHome(),
		},
	},
	{
		name: "fo-killed-in-failback", does: "the failover server is killed at some moment of the failback, and started again",
		modes: everyMode, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(2 * time.Second), start(rec),
			strike(outage, silent, every, moment(0, 4*time.Second), kill(fo), records(rec)), moment(0, time.Second), start(fo),
		},
	},
	{
		name: "fo-killed-in-merge", does: "the failover server is killed while its footage goes home, and started again",
		modes: everyMode, mergeRate: slowMerge, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(3 * time.Second), start(rec), records(rec), holds(rec),
			moment(0, 2*time.Second), kill(fo), moment(0, time.Second), start(fo),
		},
	},
	{
		name: "rec-killed-in-failback", does: "the recording server is killed again at some moment of the failback, and started again",
		modes: everyMode, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(2 * time.Second), start(rec), moment(0, 4*time.Second),
			strike(takeover, fast, every, kill(rec), moment(0, time.Second), start(rec), records(rec)),
		},
	},
	{
		name: "rec-killed-in-merge", does: "the recording server is killed while footage comes home, and started again at once",
		modes: everyMode, mergeRate: slowMerge, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(3 * time.Second), start(rec), records(rec), holds(rec), moment(0, 2*time.Second),
			strike(takeover, fast, every, kill(rec), start(rec), records(rec)),
		},
	},
	{
		name: "rec-power-in-merge", does: "the recording server loses power while footage comes home; switched on again",
		modes: everyMode, mergeRate: slowMerge, disks: []string{rec}, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(3 * time.Second), start(rec), records(rec), holds(rec), moment(0, 2*time.Second),
			strike(takeover, silent, every, powerOff(rec), powerOn(rec), records(rec)),
		},
	},
	{
		name: "rec-power-seal", does: "the recording server loses power while its disk, which takes 60 ms for each operation, makes footage durable that comes home; switched on again, disk mended",
		modes: everyMode, disks: []string{rec}, segment: "2s", acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(4 * time.Second), onDisk(rec, "slow 60ms"), start(rec), records(rec), moment(0, 5*time.Second),
			strike(outage, sick, every, powerOff(rec), onDisk(rec, "heal"), powerOn(rec), records(rec)),
		},
	},
	{
		name: "rec-killed-slow-line", does: "the recording server is killed while footage comes home over a line of 2 Mbit/s, and started again at once",
		modes: everyMode, segment: "2s", acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(4 * time.Second), limit(fo, "2mbit"), start(rec), records(rec), moment(0, 5*time.Second),
			strike(takeover, fast, every, kill(rec), start(rec), records(rec)), pause(2 * time.Second), limit(fo, ""),
		},
	},
	{
		name: "both-killed-in-merge", does: "both servers are killed while footage goes home, and started again in any order",
		modes: everyMode, mergeRate: slowMerge, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(3 * time.Second), start(rec), records(rec), holds(rec), moment(0, 2*time.Second),
			strike(outage, silent, every, kill(rec, fo), inAnyOrder(rec, fo), records(rec)),
		},
	},
	{
		name: "second-failover", does: "the failover server is killed while it stands in, and a second one stands in for it; both are started again",
		modes: everyMode, spare: true, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(2 * time.Second),
			strike(outage, silent, every, kill(fo), records(fo2)), backHome(), start(fo),
		},
	},
	{
		name: "second-failover-silent", does: "the failover server's cable is out while it stands in, and a second one stands in for it; mended",
		modes: everyMode, spare: true, acts: []act{
			strike(takeover, fast, every, kill(rec), records(fo)), pause(2 * time.Second),
			strike(outage, silent+2*time.Second, every, pull(fo, false), records(fo2)), pause(time.Second), pull(fo, true), backHome(),
		},
	},
	{
		name: "first-failover-away", does: "the first failover server is killed, then the recording server: the second stands in; both are started again",
		modes: everyMode, spare: true, acts: []act{
			kill(fo), pause(time.Second), strike(outage, silent, every, kill(rec), records(fo2)), backHome(), start(fo),
		},
	},
	{
		name: "two-servers", does: "both recording servers are killed at once, with one failover server; both are started again",
		modes: everyMode, neighbour: true, acts: []act{
			strike(takeover, fast, every, kill(rec, "rec2"), records(fo)), pause(2 * time.Second), inAnyOrder(rec, "rec2"), records(rec), records("rec2"),
		},
	},
	{
		name: "two-servers-in-turn", does: "one recording server is killed, then the other while the first is stood in for; both are started again",
		modes: everyMode, neighbour: true, acts: []act{
			strike(takeover, fast, of("cam1", "cam3"), kill(rec), records(fo, "cam1", "cam3")), moment(0, 2*time.Second),
			strike(takeover, fast, of("cam2", "cam4"), kill("rec2"), records(fo, "cam2", "cam4")), pause(2 * time.Second),
			inAnyOrder(rec, "rec2"), records(rec), records("rec2"),
		},
	},
}

// doubled kills the recording server, and the failover server at some moment after it.
func doubled(least, most time.Duration) act {
	return strike(outage, 2*silent, every, kill(rec), moment(least, most), kill(fo), start(fo), records(fo))
}
