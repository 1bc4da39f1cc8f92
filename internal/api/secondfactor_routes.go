package api

import (
	"context"

	"understudy"
)

type secondFactor struct {
	Secret understudy.Secret `json:"secret" doc:"To be typed into an app; told once"`
	URL    understudy.Secret `json:"url" doc:"The same as an otpauth address, to be shown as a QR code"`
}

type proofBody struct {
	Password understudy.Secret `json:"password,omitempty" maxLength:"1000"`
	Code     understudy.Secret `json:"code,omitempty" maxLength:"20" doc:"Six digits, good once"`
}

func (s *server) secondFactorRoutes() {
	own := func(path, summary string) route {
		return route{method: "POST", path: path, access: anyUser, tag: "access", summary: summary}
	}
	operation(s, own("/second-factor", "Begin a second factor (TOTP, RFC 6238) of one's own, by the password"),
		func(ctx context.Context, in *struct{ Body proofBody }) (*answer[secondFactor], error) {
			secret, url, err := s.Services.BeginSecondFactor(ctx, understudy.Asker(ctx).User, in.Body.Password)
			return one(secondFactor{secret, url}, err)
		})
	operation(s, own("/second-factor/confirm", "Make it needed from now on, by a code"),
		func(ctx context.Context, in *struct{ Body proofBody }) (*nothing, error) {
			return done(s.Services.ConfirmSecondFactor(ctx, understudy.Asker(ctx).User, in.Body.Code))
		})
	operation(s, own("/second-factor/remove", "Sign in by the password alone again, by the password and a code"),
		func(ctx context.Context, in *struct{ Body proofBody }) (*nothing, error) {
			return done(s.Services.RemoveSecondFactor(ctx, understudy.Asker(ctx).User, in.Body.Password, in.Body.Code))
		})
	operation(s, route{method: "DELETE", path: "/users/{name}/second-factor", access: may(understudy.ActionAdminister), tag: "users",
		summary: "Take away the second factor of who has lost it, and end the user's sessions"},
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
		}) (*nothing, error) {
			return done(s.Services.ResetSecondFactor(ctx, in.Name))
		})
}
