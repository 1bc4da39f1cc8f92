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
			pause = failed
			log.Warn("the membership could not be refreshed; it will be tried again", "error", err, "in", pause, "certificate expires after", site.node.RenewAt())
		}
		next.Reset(pause)
	}
}

// refresh brings trust and certificate up to date.
func refresh(ctx context.Context, node *identity.Node, site *client.Client) error {
	text, err := site.Trust(ctx)
	if err != nil {
		return err
	}
	var trust identity.Trust
	if err := json.Unmarshal(text, &trust); err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "whom to trust could not be read: %w", err)
	}
	before := node.Trust().Management
	if err := node.UpdateTrust(trust); err != nil {
		return err
	}
	if told := trust.Management; len(told) > 0 && !slices.Equal(told, before) {
		if err := site.SetAddresses(told); err != nil {
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
	return node.Renew([]byte(answer.Certificate))
}
