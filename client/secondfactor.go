package client

import (
	"context"
	"net/http"
	"net/url"

	"understudy"
)

// proof is what a user shows to change the second factor.
type proof struct {
	Password understudy.Secret `json:"password,omitempty"`
	Code     understudy.Secret `json:"code,omitempty"`
}

// BeginSecondFactor returns the secret of a new second factor of the user's own,
// for an app to make codes of, and an address that carries it.
func (c *Client) BeginSecondFactor(ctx context.Context, password understudy.Secret) (secret, address understudy.Secret, err error) {
	answer, err := ask[struct{ Secret, URL understudy.Secret }](ctx, c, call{method: http.MethodPost, path: "/second-factor", in: proof{Password: password}})
	return answer.Secret, answer.URL, err
}

// ConfirmSecondFactor makes it needed from now on.
func (c *Client) ConfirmSecondFactor(ctx context.Context, code understudy.Secret) error {
	return c.do(ctx, http.MethodPost, "/second-factor/confirm", proof{Code: code}, nil)
}

// RemoveSecondFactor lets the user sign in by the password alone again; it ends all sessions.
func (c *Client) RemoveSecondFactor(ctx context.Context, password, code understudy.Secret) error {
	return c.do(ctx, http.MethodPost, "/second-factor/remove", proof{password, code}, nil)
}

// ResetSecondFactor is for an administrator to do for who has lost it.
func (c *Client) ResetSecondFactor(ctx context.Context, user string) error {
	return c.do(ctx, http.MethodDelete, "/users/"+url.PathEscape(user)+"/second-factor", nil, nil)
}
