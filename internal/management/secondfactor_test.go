package management_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	us "understudy"
	"understudy/internal/management"
)

const right = us.Secret("correct horse")

// code is what an app of ada's shows at a time from now.
func code(t *testing.T, secret us.Secret, from time.Duration) us.Secret {
	t.Helper()
	text, err := totp.GenerateCode(string(secret), time.Now().Add(from))
	if err != nil {
		t.Fatal(err)
	}
	return us.Secret(text)
}

func must(t *testing.T, what string, err error, want us.Code) {
	t.Helper()
	if err == nil && want != "" || err != nil && us.CodeOf(err) != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// enrol turns on ada's second factor and returns its secret.
func enrol(t *testing.T, m *management.Management) us.Secret {
	t.Helper()
	secret, address, err := m.BeginSecondFactor(t.Context(), "ada", right)
	must(t, "beginning", err, "")
	if !strings.HasPrefix(string(address), "otpauth://totp/Understudy:ada?") || !strings.Contains(string(address), string(secret)) {
		t.Errorf("an app takes the address %q", string(address))
	}
	must(t, "before it is confirmed", second(m.SignIn(t.Context(), "ada", right)), "")
	must(t, "a wrong code", m.ConfirmSecondFactor(t.Context(), "ada", "12345"), us.CodeInvalid)
	must(t, "the right code", m.ConfirmSecondFactor(t.Context(), "ada", code(t, secret, 0)), "")
	return secret
}

// A new key for what is sealed keeps nobody out: codes of a factor from before are good, of
// one that is set up only half, too.
func TestASecondFactorOutlivesTheKey(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		put(t, m)
		secret, _, err := m.BeginSecondFactor(t.Context(), "ada", right)
		must(t, "beginning", err, "")
		must(t, "a new key", m.RotateSecrets(t.Context()), "")
		must(t, "a code of the factor that was begun", m.ConfirmSecondFactor(t.Context(), "ada", code(t, secret, 0)), "")
		must(t, "another key", m.RotateSecrets(t.Context()), "")
		time.Sleep(30 * time.Second)
		must(t, "a code", second(m.SignInWithCode(t.Context(), "ada", right, code(t, secret, 0))), "")
		must(t, "no code", second(m.SignIn(t.Context(), "ada", right)), us.CodeUnauthenticated)
	})
}

func TestASecondFactorIsNeeded(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		put(t, m)
		sign := func(c us.Secret) error { return second(m.SignInWithCode(t.Context(), "ada", right, c)) }
		secret := enrol(t, m)
		must(t, "no code", sign(""), us.CodeUnauthenticated)
		must(t, "a code that confirmed", sign(code(t, secret, 0)), us.CodeUnauthenticated)
		time.Sleep(30 * time.Second)
		now := code(t, secret, 0)
		must(t, "the code without the password", second(m.SignInWithCode(t.Context(), "ada", "wrong password", now)), us.CodeUnauthenticated)
		must(t, "the code", sign(now[:3]+" "+now[3:]), "")
		must(t, "the code again", sign(now), us.CodeUnauthenticated)
		must(t, "the one before", sign(code(t, secret, -30*time.Second)), us.CodeUnauthenticated)
		must(t, "of a clock that is ahead", sign(code(t, secret, 30*time.Second)), "")
		time.Sleep(5 * time.Minute)
		must(t, "of a clock that is behind", sign(code(t, secret, -30*time.Second)), "")
		must(t, "an old one", sign(code(t, secret, -2*time.Minute)), us.CodeUnauthenticated)
		must(t, "one of later", sign(code(t, secret, 2*time.Minute)), us.CodeUnauthenticated)
		must(t, "no digits", sign("sesame"), us.CodeUnauthenticated)

		users, err := m.Users(t.Context())
		must(t, "the users", err, "")
		if len(users) != 1 || !users[0].SecondFactor {
			t.Errorf("who has one is seen: %+v", users)
		}
		time.Sleep(5 * time.Minute)
		ada := users[0]
		ada.SecondFactor = false
		ada.Cameras = []us.CameraID{us.AllCameras}
		changed, err := m.PutUser(t.Context(), ada, nil)
		must(t, "a change of the user", err, "")
		if !changed.SecondFactor {
			t.Error("a change of the user leaves the second factor")
		}
		must(t, "after it", sign(""), us.CodeUnauthenticated)
	})
}

func TestASecondFactorIsTakenAway(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		put(t, m)
		ctx := t.Context()
		must(t, "the wrong password", second(second3(m.BeginSecondFactor(ctx, "ada", "wrong password"))), us.CodeUnauthenticated)
		must(t, "nothing to confirm", m.ConfirmSecondFactor(ctx, "ada", "123456"), us.CodeConflict)
		must(t, "nothing to take away", m.ResetSecondFactor(ctx, "ada"), us.CodeNotFound)
		must(t, "nobody", m.ResetSecondFactor(ctx, "nobody"), us.CodeNotFound)
		time.Sleep(time.Minute)
		secret := enrol(t, m)
		must(t, "another one", second(second3(m.BeginSecondFactor(ctx, "ada", right))), us.CodeConflict)
		must(t, "the password alone", m.RemoveSecondFactor(ctx, "ada", right, ""), us.CodeUnauthenticated)
		time.Sleep(time.Minute)
		must(t, "with a code", m.RemoveSecondFactor(ctx, "ada", right, code(t, secret, 0)), "")
		must(t, "by password alone", second(m.SignIn(ctx, "ada", right)), "")

		time.Sleep(time.Minute)
		secret = enrol(t, m)
		time.Sleep(time.Minute)
		session, err := m.SignInWithCode(ctx, "ada", right, code(t, secret, 0))
		must(t, "a session", err, "")
		must(t, "by an administrator", m.ResetSecondFactor(ctx, "ada"), "")
		must(t, "the session that there was", second(m.Identify(ctx, session.Token)), us.CodeUnauthenticated)
		must(t, "by password alone again", second(m.SignIn(ctx, "ada", right)), "")
	})
}

func second3[A, B any](a A, _ B, err error) (A, error) { return a, err }

// TestCodesAreGuessedSlowly: who knows the password has as few tries as who does not.
// What is tried has a digit too few, so that it never happens to be right.
func TestCodesAreGuessedSlowly(t *testing.T) {
	virtual(t, func(t *testing.T, m *management.Management) {
		put(t, m)
		enrol(t, m)
		tries, waits := 0, 0
		for end := time.Now().Add(time.Hour); time.Now().Before(end); {
			switch err := second(m.SignInWithCode(t.Context(), "ada", right, "12345")); us.CodeOf(err) {
			case us.CodeUnauthenticated:
				tries++
			case us.CodeUnavailable:
				waits++
				time.Sleep(time.Second)
			default:
				t.Fatalf("a guess: %v", err)
			}
		}
		if tries > 135 || waits == 0 {
			t.Errorf("%d codes were tried within an hour", tries)
		}
	})
}
