package recording

import (
	"context"
	"sync"

	"understudy"
)

// admitted is what media tokens have opened and goes on: a picture may be looked at for
// longer than its token is believed, and ends when that is recalled.
type admitted struct {
	mu   sync.Mutex
	open map[*admission]struct{}
}

type admission struct {
	who understudy.Identity
	end context.CancelCauseFunc
}

func (a *admitted) add(one *admission) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = map[*admission]struct{}{}
	}
	a.open[one] = struct{}{}
}

func (a *admitted) remove(one *admission) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, one)
}

// recall ends what is open by tokens that a site recalls.
func (a *admitted) recall(site understudy.Site) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for one := range a.open {
		one.recall(site)
	}
}

func (a *admission) recall(site understudy.Site) {
	if err := site.Recalled(a.who); err != nil {
		a.end(err)
	}
}

// WhileGood returns a context that ends when the media token is recalled by which a user is
// known, with why as its cause; of everybody else it does not.
func (l library) WhileGood(ctx context.Context, who understudy.Identity) (context.Context, context.CancelFunc) {
	if who.Given.IsZero() {
		return context.WithCancel(ctx)
	}
	ctx, end := context.WithCancelCause(ctx)
	one := &admission{who, end}
	l.server.admitted.add(one)
	if site := l.server.site.Load(); site != nil { // what was recalled before it was added
		one.recall(*site)
	}
	return ctx, func() {
		l.server.admitted.remove(one)
		end(nil)
	}
}
