package sqlstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"
)

const (
	// bellChannel is the name under which PostgreSQL notifies, of a whole database.
	bellChannel = "understudy"
	// hearAgain is waited before a lost connection that hears is made anew.
	hearAgain = time.Second
)

var _ bell = postgres{}

func (postgres) ring(ctx context.Context, tx bun.Tx, by string) error {
	if _, err := tx.NewRaw("SELECT pg_notify(?, ?)", bellChannel, by).Exec(ctx); err != nil {
		return failed("notify", err)
	}
	return nil
}

func (e postgres) hear(ctx context.Context, self string, f func()) {
	for ctx.Err() == nil {
		_ = e.listen(ctx, self, f) // whoever asks the database otherwise hears why
		select {
		case <-ctx.Done():
		case <-time.After(hearAgain):
		}
	}
}

// listen hears on one connection, which does nothing else.
func (e postgres) listen(ctx context.Context, self string, f func()) error {
	c, err := pgx.ConnectConfig(ctx, e.config)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), hearAgain)
		defer cancel()
		_ = c.Close(closing)
	}()
	if _, err := c.Exec(ctx, "LISTEN "+bellChannel); err != nil {
		return err
	}
	f() // for what was written before
	for {
		told, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if told.Payload != self {
			f()
		}
	}
}
