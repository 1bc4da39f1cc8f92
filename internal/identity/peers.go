package identity

import (
	"crypto/x509"
	"net"
	"sync"

	"understudy"
)

// peers are the connections that other servers have to this node. A revocation ends
// those that it is about: they were verified once, and may last for months.
type peers struct {
	mu    sync.Mutex
	open  map[net.Conn]peer
	alarm func(understudy.ServerID, net.Addr)
}

// peer is who is at the other end, by which certificate.
type peer struct {
	subject
	leaf *x509.Certificate
}

// closing is a connection that tells when it ends, as those of internal/listen do.
type closing interface {
	net.Conn
	AfterClose(f func())
}

func (p *peers) add(conn net.Conn, s subject, leaf *x509.Certificate) {
	c, ok := conn.(closing)
	if !ok {
		return
	}
	p.mu.Lock()
	if p.open == nil {
		p.open = map[net.Conn]peer{}
	}
	p.open[c] = peer{s, leaf}
	p.mu.Unlock()
	c.AfterClose(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, c)
	})
}

// end closes the connections of whom trust believes no more.
func (p *peers) end(trust trusted) {
	p.mu.Lock()
	var over []net.Conn
	for c, who := range p.open {
		if trust.believes(who.subject, who.leaf) != nil || !trust.signed(who.leaf) {
			over = append(over, c)
		}
	}
	p.mu.Unlock()
	for _, c := range over {
		_ = c.Close() // of a connection that is not wanted any more
	}
}

func (p *peers) refused(id understudy.ServerID, conn net.Conn) {
	p.mu.Lock()
	alarm := p.alarm
	p.mu.Unlock()
	if alarm != nil && conn != nil {
		alarm(id, conn.RemoteAddr())
	}
}

// OnRevoked has f called whenever a certificate is shown that was revoked: somebody has
// what should be out of use. It is called during the handshake, and does not wait.
func (n *Node) OnRevoked(f func(understudy.ServerID, net.Addr)) {
	n.peers.mu.Lock()
	defer n.peers.mu.Unlock()
	n.peers.alarm = f
}
