package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"understudy"
	"understudy/client"
	"understudy/internal/identity"
)

// membershipCheck is how often trust is refreshed and the certificate's age is looked at.
const membershipCheck = 10 * time.Minute

// refreshAgain is how soon a refresh that failed is tried again, first; later less often.
const refreshAgain = 2 * time.Second

// keepMembership renews the certificate before it expires and refreshes whom
// to trust, at once when certificates were revoked. Failing is no reason to stop
// recording: it tries again.
func keepMembership(ctx context.Context, site trusting, log *slog.Logger) error {
	next := time.NewTimer(0)
	defer next.Stop()
	failed := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next.C:
		case <-site.due:
		}
		pause := membershipCheck
		if err := refresh(ctx, site.node, site.Client); err == nil || ctx.Err() != nil {
			failed = 0
		} else {
			failed = min(max(2*failed, refreshAgain), membershipCheck)
			if site.node.Ended() { // which is all that keeps the server from the management server, once that is back
				failed = refreshAgain
			}
			pause = failed
			log.Warn("the membership could not be refreshed; it will be tried again", "error", err, "in", pause, "certificate expires after", site.node.RenewAt())
		}
		next.Reset(pause)
	}
}

// refresh brings trust and certificate up to date.
func refresh(ctx context.Context, node *identity.Node, site *client.Client) error {
	if !node.Ended() { // else the next certificate is all that is given
		text, err := site.Trust(ctx)
		if err != nil {
			return err
		}
		if err := trust(node, site, text); err != nil {
			return err
		}
	}
	if time.Now().Before(node.RenewAt()) {
		return nil
	}
	request, err := node.RenewalRequest()
	if err != nil {
		return err
	}
	answer, err := site.Renew(ctx, node.ID(), understudy.JoinRequest{Request: string(request), Hosts: node.Hosts()})
	if err != nil {
		return err
	}
	if err := trust(node, site, answer.Trust); err != nil { // it may be of a CA that came meanwhile
		return err
	}
	return node.Renew([]byte(answer.Certificate))
}

// trust goes by what a management server says of whom to trust, and where the management servers are.
func trust(node *identity.Node, site *client.Client, text json.RawMessage) error {
	var told identity.Trust
	if err := json.Unmarshal(text, &told); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "whom to trust could not be read: %w", err)
	}
	before := node.Trust().Management
	if err := node.UpdateTrust(told); err != nil {
		return err
	}
	if len(told.Management) > 0 && !slices.Equal(told.Management, before) {
		return site.SetAddresses(told.Management)
	}
	return nil
}
