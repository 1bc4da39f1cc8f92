package client

import (
	"context"
	"time"

	"understudy"
)

// Known is what a client needs to view a site while no management server
// answers: who is there, and the last media token. Servers decide for how long
// they take that one (identity.Node.VerifyTokenSince).
type Known struct {
	Site  understudy.Site       `json:"site"`
	Token understudy.MediaToken `json:"token"`
}

// Memory keeps what a client knows from one run of a program to the next. What
// is kept is for whoever signed in, and for nobody else to read.
type Memory interface {
	Recall() (Known, bool)
	Keep(k Known)
}

// recallAfter is how long a management server is waited for by a client that
// knows the site from before.
const recallAfter = 3 * time.Second

// keep changes what is known and puts it where the next run finds it.
func (c *Client) keep(change func(*Known)) {
	if c.config.Memory == nil {
		return
	}
	c.mu.Lock()
	change(&c.known)
	known := c.known
	c.mu.Unlock()
	if known.Site.Seq > 0 && known.Token.Token != "" {
		c.config.Memory.Keep(known)
	}
}

// remembered returns the site as it was kept; false if none was.
func (c *Client) remembered() (understudy.Site, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known.Site, c.known.Site.Seq > 0
}

// recall has Run and its subscribers begin with the site as it was kept, when no
// management server has told it yet.
func (c *Client) recall() {
	site, ok := c.remembered()
	c.follow.mu.Lock()
	defer c.follow.mu.Unlock()
	if !ok || c.follow.known {
		return
	}
	c.log.Warn("no management server answers; the site is taken as it was last known, and servers are asked what they hold")
	c.follow.site, c.follow.known = site, true
	c.follow.tell(understudy.Update{Site: &site})
}

// current returns the site as Run knows it, else as a management server tells
// it, else as it was kept.
func (c *Client) current(ctx context.Context) (understudy.Site, error) {
	if site, ok := c.Current(); ok {
		return site, nil
	}
	kept, ok := c.remembered()
	asking := ctx
	if ok {
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, recallAfter)
		defer cancel()
	}
	site, err := c.Site(asking)
	switch {
	case err == nil:
		c.keep(func(k *Known) { k.Site = site })
	case ok && ctx.Err() == nil && understudy.CodeOf(err) == understudy.CodeUnavailable:
		return kept, nil
	}
	return site, err
}
