package api

import (
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"understudy"
)

// TestSecondFactor: its owner turns it on, a code is needed once it was confirmed,
// and an administrator takes it away from who has lost it.
func TestSecondFactor(t *testing.T) {
	s := newSite(t)
	admin, ctx := s.administrator(), t.Context()
	olga := s.user(admin, "olga", understudy.RoleOperator, understudy.AllCameras)
	secret, _, err := olga.BeginSecondFactor(ctx, password)
	check(t, err)
	code := func(from time.Duration) understudy.Secret {
		text, err := totp.GenerateCode(string(secret), time.Now().Add(from))
		check(t, err)
		return understudy.Secret(text)
	}
	check(t, olga.ConfirmSecondFactor(ctx, code(0)))
	for what, given := range map[string]understudy.Secret{"none": "", "a false one": "12345"} {
		if _, err := s.userClient().SignInWithCode(ctx, "olga", password, given); understudy.CodeOf(err) != understudy.CodeUnauthenticated {
			t.Errorf("with the password and of codes %s she is not let in, got %v", what, err)
		}
	}
	if _, err := s.userClient().SignInWithCode(ctx, "olga", password, code(30*time.Second)); err != nil {
		t.Errorf("with a code she is: %v", err)
	}
	users, err := admin.Users(ctx)
	check(t, err)
	if len(users) != 2 || users[0].SecondFactor || !users[1].SecondFactor {
		t.Errorf("an administrator sees who has one: %+v", users)
	}
	if err := olga.ResetSecondFactor(ctx, "olga"); understudy.CodeOf(err) != understudy.CodeForbidden {
		t.Errorf("she cannot do without a code herself, but: %v", err)
	}
	check(t, admin.ResetSecondFactor(ctx, "olga"))
	if _, err := s.userClient().SignIn(ctx, "olga", password); err != nil {
		t.Errorf("by the password alone again: %v", err)
	}
}
