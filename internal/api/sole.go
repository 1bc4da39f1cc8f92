package api

import (
	"context"
	"sync"
	"time"

	"understudy"
)

// departing is how long a process of a service channel that is connected still may take to be gone when
// another comes: one that was restarted is no copy.
const departing = 750 * time.Millisecond

// Sole refuses the processes that come as a server and are not the one that does its work: a
// copied server has the same certificate, and not the same process. Its zero value refuses only
// recording and failover servers that name no process, and second processes of service channels.
type Sole struct {
	// Double reports whether another process than boot answers at the address that the site has of a
	// recording or failover server (poll.Watcher.Double); nil knows of none.
	Double func(ctx context.Context, server understudy.ServerID, boot string) (address string, found bool)
	// Copied is told of a process that came from an address and was refused, since another is at one.
	Copied func(server understudy.Identity, from, at string)
	// Nameless is told of one that was refused since it did not say which process it is.
	Nameless func(server understudy.ServerID, from string)

	mu       sync.Mutex
	channels map[understudy.ServerID]*attendance
}

// attendance is the process of a service channel of which requests are under way, as the one that it
// follows the site by. Nobody can ask a service channel for its name, so that this shows that it lives.
type attendance struct {
	boot, from string
	gone       chan struct{}                // closed with its last request
	requests   map[<-chan struct{}]struct{} // by what is closed at the end of each
}

// Admit returns why a process that names itself by boot (State.Boot) is not let in as a server; ctx is of its request.
func (s *Sole) Admit(ctx context.Context, server understudy.Identity, boot, from string) error {
	switch server.Role {
	case understudy.RoleManagement: // several share one identity
		return nil
	case understudy.RoleChannel:
		return s.admitChannel(ctx, server, boot, from)
	}
	if boot == "" {
		if s.Nameless != nil {
			s.Nameless(server.Server, from)
		}
		return understudy.Errorf(understudy.CodeForbidden,
			"a request as %s has to say which process makes it (the header %s), as this program does since 29 November 2026: upgrade %s; until then it records what it was told last, and gets nothing more",
			server.Server, understudy.BootHeader, server.Server)
	}
	if s.Double == nil {
		return nil
	}
	at, found := s.Double(ctx, server.Server, boot)
	if !found {
		return nil
	}
	s.copied(server, from, at)
	return understudy.Errorf(understudy.CodeForbidden,
		"another machine answers as %s at %s: one of the two is a copy of the other. This one records what it was told last, and gets nothing more; stop the copy, or `understudy server replace %s`",
		server.Server, at, server.Server)
}

// admitChannel lets the first process of a service channel in, for as long as it is connected. Older versions name
// none: two of those are not told apart.
func (s *Sole) admitChannel(ctx context.Context, server understudy.Identity, boot, from string) error {
	patience := time.After(departing)
	for {
		other := s.attend(ctx, server.Server, boot, from)
		if other == nil {
			return nil
		}
		select {
		case <-other.gone:
		case <-ctx.Done():
			return ctx.Err()
		case <-patience:
			s.copied(server, from, other.from)
			return understudy.Errorf(understudy.CodeForbidden,
				"another process is connected as the service channel %s, from %s: one of the two is a copy of the other, and this one is told nothing; stop the copy, or `understudy server revoke %s` and let it join again",
				server.Server, other.from, server.Server)
		}
	}
}

// attend notes a request of a service channel, until ctx ends; else it returns the other process that is there.
func (s *Sole) attend(ctx context.Context, id understudy.ServerID, boot, from string) (other *attendance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.channels[id]
	if a != nil && a.boot != boot {
		return a
	}
	if a == nil {
		a = &attendance{boot: boot, from: from, gone: make(chan struct{}), requests: map[<-chan struct{}]struct{}{}}
		if s.channels == nil {
			s.channels = map[understudy.ServerID]*attendance{}
		}
		s.channels[id] = a
	}
	if _, noted := a.requests[ctx.Done()]; !noted { // a long one is looked at again and again
		a.requests[ctx.Done()] = struct{}{}
		context.AfterFunc(ctx, func() { s.leave(id, a, ctx.Done()) })
	}
	return nil
}

func (s *Sole) leave(id understudy.ServerID, a *attendance, request <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(a.requests, request)
	if len(a.requests) == 0 {
		delete(s.channels, id)
		close(a.gone)
	}
}

func (s *Sole) copied(server understudy.Identity, from, at string) {
	if s.Copied != nil {
		s.Copied(server, from, at)
	}
}
