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

// begin returns a context that ends, with why, when the site recalls who's media token.
func (a *admitted) begin(ctx context.Context, who understudy.Identity) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	one := &admission{who, end}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = map[*admission]struct{}{}
	}
	a.open[one] = struct{}{}
	return ctx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.open, one)
		end(nil)
	}
}

// recall ends what is open by tokens that a site recalls.
func (a *admitted) recall(site understudy.Site) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for one := range a.open {
		if err := site.Recalled(one.who); err != nil {
			one.end(err)
		}
	}
}

// WhileGood returns a context that ends when the media token is recalled by which a user is
// known, with why as its cause; of everybody else it does not.
func (l library) WhileGood(ctx context.Context, who understudy.Identity) (context.Context, context.CancelFunc) {
	if who.Given.IsZero() {
		return context.WithCancel(ctx)
	}
	ctx, ended := l.server.admitted.begin(ctx, who)
	if site := l.server.site.Load(); site != nil { // what was recalled before it began
		l.server.admitted.recall(*site)
	}
	return ctx, ended
}
