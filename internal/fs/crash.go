package fs

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"time"
)

// What a power cut leaves. Each change is remembered as a step until it is
// synced, and a power cut may take or leave each of them by itself:
//
//   - the writes and truncations of a file, in any selection. A write may be there
//     in part: up to some byte, or in some of its sectors. Where it extended the
//     file and is not there, zeros or garbage may be instead, or nothing, if
//     nothing behind it is there either;
//   - the names in a folder: created, removed, in any selection. A rename is one
//     change, also between two folders;
//   - a folder that was made, with all that is in it, synced or not.
//
// Sync settles the bytes and the size of a file, and not its name. SyncDir settles the names
// in a folder, and not the folder's own. Of a rename between two folders, syncing the one it
// led to settles the new name, and the old one may be there, too; syncing the one it came from settles both.

// step is one change, or one sync.
type step struct {
	op       Op
	name     string // as it was called
	node     int
	from, to int // folders
	fromName string
	toName   string
	at       int64 // of a write; the size after a truncation
	data     []byte
	failed   bool // of a sync
	lost     bool // a sync failed to make it durable, and no other one will
	linked   bool // of a rename: the new name is durable, the old one may be there still
	time     time.Time
}

func (s *step) ofData() bool { return s.op == OpWrite || s.op == OpTruncate }

// apply makes a step of what is asked for; mu is held.
func (m *Memory) apply(s step) {
	m.steps++
	if m.record != nil {
		m.record.steps = append(m.record.steps, s)
	}
	switch s.op {
	case OpSync:
		m.settleFile(s)
		return
	case OpSyncDir:
		m.settleFolder(s.to)
		return
	case OpCreate, OpMkdir:
		n := &node{number: s.node, dir: s.op == OpMkdir, changed: s.time, clean: true}
		if n.dir {
			n.names = map[string]*node{}
		}
		m.nodes = append(m.nodes, n)
	}
	m.pending = append(m.pending, s)
	if s.ofData() {
		n := m.nodes[s.node]
		if n.clean {
			n.clean, n.durable, n.shared = false, n.data[:len(n.data):len(n.data)], len(n.data)
		}
		n.change(&s, Kept)
		return
	}
	for _, dir := range []int{s.from, s.to} {
		if n := m.nodes[dir]; n.clean && s.touches(dir) {
			n.clean, n.disk = false, maps.Clone(n.names)
		}
	}
	s.rename(m.nodes, func(n *node) map[string]*node { return n.names })
}

// rename does a step of names in the folders that of returns.
func (s *step) rename(nodes []*node, of func(*node) map[string]*node) {
	if s.fromName != "" && of(nodes[s.from])[s.fromName] == nodes[s.node] {
		delete(of(nodes[s.from]), s.fromName)
	}
	if s.toName != "" && !s.linked {
		of(nodes[s.to])[s.toName] = nodes[s.node]
	}
}

// change does a step of data to a file, as a power cut may have left it.
func (n *node) change(s *step, fate Fate) {
	if s.op == OpTruncate {
		if fate.Bytes > 0 {
			n.resize(int(s.at))
		}
		return
	}
	fate = fate.of(s)
	end := int(s.at) + len(s.data)
	if fate.Rest == Absent {
		end = int(s.at) + fate.Bytes
	}
	if end == int(s.at) {
		return
	}
	if s.time.After(n.changed) {
		n.changed = s.time
	}
	was := len(n.data)
	if int(s.at) < n.shared { // others see it
		n.data, n.shared = slices.Grow(slices.Clone(n.data), max(0, end-was)), 0
	}
	if int(s.at) == was && fate.Bytes == len(s.data) && fate.Holes == 0 {
		n.data = append(n.data, s.data...)
		return
	}
	if end > was {
		n.data = append(n.data, make([]byte, end-was)...)
	}
	for i := int(s.at); i < end; i += sector - i%sector {
		to := min(i+sector-i%sector, end)
		n.sector(s, fate, i, to, was)
	}
}

// sector does the part of a write that is in one sector. Where it is not there,
// what was is, or, behind the old end, zeros or garbage.
func (n *node) sector(s *step, fate Fate, from, to, was int) {
	there := min(to, int(s.at)+fate.Bytes)
	if fate.Holes>>(uint(from-int(s.at)+sector-1)/sector%64)&1 != 0 {
		there = from
	}
	if there > from {
		copy(n.data[from:there], s.data[from-int(s.at):])
	}
	if fate.Rest == Garbage {
		for i := max(there, from, was); i < to; i++ {
			n.data[i] = byte(i*131+7) | 1
		}
	}
}

func (n *node) resize(size int) {
	if size <= len(n.data) {
		n.data = n.data[:size:size]
		n.shared = min(n.shared, size)
		return
	}
	n.data = append(n.data[:len(n.data):len(n.data)], make([]byte, size-len(n.data))...)
	n.shared = 0
}

// settleFile makes what was written to a file durable, or never.
func (m *Memory) settleFile(sync step) {
	n := m.nodes[sync.node]
	if n.clean {
		return
	}
	if sync.failed {
		for i := range m.pending {
			if s := &m.pending[i]; s.ofData() && s.node == sync.node && !s.lost {
				s.lost, n.apart = true, true
			}
		}
		return
	}
	if n.apart {
		disk := node{data: n.durable, shared: len(n.durable)}
		for i := range m.pending {
			if s := &m.pending[i]; s.ofData() && s.node == sync.node && !s.lost {
				disk.change(s, Kept)
			}
		}
		n.durable = disk.data
	} else {
		n.durable = nil
		n.clean = true
	}
	m.pending = slices.DeleteFunc(m.pending, func(s step) bool { return s.ofData() && s.node == sync.node })
}

// settleFolder makes the names in a folder durable.
func (m *Memory) settleFolder(dir int) {
	kept := m.pending[:0]
	for _, s := range m.pending {
		switch {
		case !s.touches(dir):
			kept = append(kept, s)
		case s.fromName != "" && s.from != dir: // of a rename, the new name
			m.nodes[s.to].disk[s.toName] = m.nodes[s.node]
			s.linked = true
			kept = append(kept, s)
		default:
			s.rename(m.nodes, func(n *node) map[string]*node { return n.disk })
		}
	}
	clear(m.pending[len(kept):])
	m.pending = kept
	for _, n := range m.nodes {
		if n.dir && !n.clean && !slices.ContainsFunc(m.pending, func(s step) bool { return s.touches(n.number) }) {
			n.clean, n.disk = true, nil
		}
	}
}

// touches reports whether a step that is pending concerns the names in a folder.
func (s *step) touches(dir int) bool {
	return !s.ofData() && (s.fromName != "" && s.from == dir || s.toName != "" && !s.linked && s.to == dir)
}

const sector = 512

// Unsynced is a change that a power cut may take.
type Unsynced struct {
	Op    Op
	Name  string
	Bytes int  // of a write
	Lost  bool // a sync of it failed: only a new write can make it durable
}

// Fate is what a power cut makes of a change. The zero value drops it.
type Fate struct {
	Bytes int    // so many of its first bytes are there; of anything but a write, 1 is all
	Rest  Rest   // where the others are not
	Holes uint64 // these of its sectors of 512 bytes are not there either
}

// Rest is what a file has where a write extended it and is not there.
type Rest byte

// The rests.
const (
	Absent  Rest = iota // it ends there, if nothing behind is there
	Zeros               // its size is there
	Garbage             // what the disk had there before
)

// Kept is the fate of what is there as if it had been synced.
var Kept = Fate{Bytes: math.MaxInt}

// of returns the fate of that write with each choice that changes nothing taken out.
func (f Fate) of(s *step) Fate {
	f.Bytes = min(f.Bytes, len(s.data))
	if f.Bytes == len(s.data) && f.Holes == 0 {
		f.Rest = Absent
	}
	return f
}

// Unsynced returns what a power cut now may take, in the order in which it was done.
func (m *Memory) Unsynced() []Unsynced {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Unsynced, len(m.pending))
	for i, s := range m.pending {
		list[i] = Unsynced{Op: s.op, Name: s.name, Bytes: len(s.data), Lost: s.lost}
	}
	return list
}

// Crash is a power cut: of each change that was not synced, by its place in
// Unsynced, fate decides what is there; nil drops all. The result is what the
// disk has; all of it is durable. Locks are free. This Memory stays as it is.
func (m *Memory) Crash(fate func(i int) Fate) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if fate == nil {
		fate = func(int) Fate { return Fate{} }
	}
	after := m.copy(false)
	for i := range m.pending {
		s := &m.pending[i]
		f := fate(i)
		if s.ofData() {
			after.nodes[s.node].change(s, f)
		} else if f.Bytes > 0 {
			s.rename(after.nodes, func(n *node) map[string]*node { return n.names })
		}
	}
	return after
}

// Kill is the end of the process that used the folder, and not of the machine:
// what was not synced is there, and still not synced. Locks are free.
func (m *Memory) Kill() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.copy(true)
}

// copy returns all as programs see it, with what is pending, or as it is
// durable; mu is held. Contents are shared.
func (m *Memory) copy(pending bool) *Memory {
	after := &Memory{locks: map[string]bool{}, free: m.free, nodes: make([]*node, len(m.nodes))}
	copies := make([]node, len(m.nodes))
	for i, n := range m.nodes {
		c := &copies[i]
		*c = node{number: n.number, dir: n.dir, changed: n.changed, data: n.data, clean: true}
		if pending {
			c.clean, c.apart, c.durable = n.clean, n.apart, n.durable
		} else if !n.clean {
			c.data = n.durable
		}
		c.data = c.data[:len(c.data):len(c.data)]
		c.shared, n.shared = len(c.data), max(n.shared, len(c.data))
		after.nodes[i] = c
	}
	for i, n := range m.nodes {
		switch {
		case !n.dir:
		case pending:
			after.nodes[i].names = after.these(n.names)
			if !n.clean {
				after.nodes[i].disk = after.these(n.disk)
			}
		case n.clean:
			after.nodes[i].names = after.these(n.names)
		default:
			after.nodes[i].names = after.these(n.disk)
		}
	}
	if pending {
		after.pending = slices.Clone(m.pending)
	}
	return after
}

// these returns names that lead to this Memory's nodes.
func (m *Memory) these(names map[string]*node) map[string]*node {
	own := make(map[string]*node, len(names))
	for name, n := range names {
		own[name] = m.nodes[n.number]
	}
	return own
}

// Same reports whether both have the same names and bytes.
func (m *Memory) Same(other *Memory) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	other.mu.Lock()
	defer other.mu.Unlock()
	return m.nodes[0].same(other.nodes[0])
}

func (n *node) same(other *node) bool {
	return n.dir == other.dir && bytes.Equal(n.data, other.data) && maps.EqualFunc(n.names, other.names, (*node).same)
}

// Bytes returns the content of a file, which must not be changed; not ok if there is none.
func (m *Memory) Bytes(name string) (content []byte, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.find(name)
	if n == nil || n.dir {
		return nil, false
	}
	n.shared = max(n.shared, len(n.data))
	return n.data[:len(n.data):len(n.data)], true
}
