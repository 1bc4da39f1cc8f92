package identity

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"understudy"
)

var ada = understudy.Identity{
	User:    "ada",
	Actions: []understudy.Action{understudy.ActionLive, understudy.ActionPlayback, understudy.ActionAdminister},
	Cameras: []understudy.CameraID{"lobby", "door"},
}

func TestAMediaTokenSaysWhoMaySeeWhat(t *testing.T) {
	a := newAuthority(t)
	n := join(t, a, "rec-1", understudy.RoleRecording)
	before := time.Now()
	from := ada
	from.Address = "192.0.2.7"
	token, err := a.SignToken(from, MaxTokenAge)
	if err != nil {
		t.Fatal(err)
	}
	if token.Expires.Before(before.Add(MaxTokenAge-time.Second)) || token.Expires.After(time.Now().Add(MaxTokenAge)) {
		t.Errorf("expires %s", token.Expires)
	}
	who, err := n.VerifyToken(string(token.Token), nil)
	if err != nil || who.User != "ada" || who.Server != "" || who.Address != from.Address || !slices.Equal(who.Cameras, ada.Cameras) ||
		!slices.Equal(who.Actions, []understudy.Action{understudy.ActionLive, understudy.ActionPlayback}) {
		t.Errorf("%+v, %v; administer must not be in it", who, err)
	}
	if err := who.May(understudy.ActionLive, "lobby"); err != nil {
		t.Error(err)
	}
	if who.May(understudy.ActionLive, "vault") == nil || who.May(understudy.ActionExport, "lobby") == nil {
		t.Error("it gives more than was asked for")
	}
	several := ada.With(understudy.RoleOperator.Actions(), []understudy.CameraID{"vault"})
	if token, err = a.SignToken(several, MaxTokenAge); err != nil {
		t.Fatal(err)
	}
	if who, err = n.VerifyToken(string(token.Token), nil); err != nil || who.May(understudy.ActionExport, "vault") != nil || who.May(understudy.ActionExport, "lobby") == nil ||
		who.May(understudy.ActionLive, "lobby") != nil || who.May(understudy.ActionAdminister, "") == nil {
		t.Errorf("with several roles it is %+v, %v", who, err)
	}
	if !slices.Contains(ada.Actions, understudy.ActionAdminister) {
		t.Error("the caller's identity was changed")
	}
}

// TestATokenOfManyCamerasNamesTheirGroups: it holds for the cameras that are in them when it is
// shown, says nothing where that is not known, and gives back nothing that was taken.
func TestATokenOfManyCamerasNamesTheirGroups(t *testing.T) {
	a := newAuthority(t)
	n := join(t, a, "rec-1", understudy.RoleRecording)
	wing := understudy.CameraGroup{ID: "wing", Cameras: []understudy.CameraID{"lobby"}}
	for i := range 10_000 {
		wing.Cameras = append(wing.Cameras, understudy.CameraID(fmt.Sprintf("camera-%d", i)))
	}
	site := understudy.Site{CameraGroups: []understudy.CameraGroup{wing}}
	rosa := site.Identity("rosa", []understudy.Grant{{Role: understudy.RoleAdministrator, CameraGroups: []understudy.CameraGroupID{"wing"}}})
	token, err := a.SignToken(rosa, MaxTokenAge)
	if err != nil {
		t.Fatal(err)
	}
	who, err := n.VerifyToken(string(token.Token), &site)
	if err != nil || who.User != "rosa" || who.May(understudy.ActionExport, "lobby") != nil || who.May(understudy.ActionLive, "camera-9999") != nil || who.May(understudy.ActionLive, "vault") == nil ||
		who.May(understudy.ActionAdminister, "") == nil || who.May(understudy.ActionConfigure, "") == nil {
		t.Errorf("it is the token of %s with %v on %d cameras, %v", who, who.Actions, len(who.Cameras), err)
	}
	smaller := understudy.Site{CameraGroups: []understudy.CameraGroup{{ID: "wing", Cameras: wing.Cameras[1:]}}}
	if who, err := n.VerifyToken(string(token.Token), &smaller); err != nil || who.May(understudy.ActionLive, "lobby") == nil || who.May(understudy.ActionLive, "camera-9999") != nil {
		t.Errorf("a camera that left the group is shown, or the others are not: %v", err)
	}
	if who, err := n.VerifyToken(string(token.Token), &understudy.Site{}); err != nil || who.May(understudy.ActionLive, "lobby") == nil {
		t.Errorf("a group that is gone shows cameras: %v", err)
	}
	if _, err := n.VerifyToken(string(token.Token), nil); understudy.CodeOf(err) != understudy.CodeUnavailable {
		t.Errorf("where the site is not known: %v", err)
	}
	taken := rosa.Without(func(a understudy.Action) bool { return a != understudy.ActionStatus })
	if token, err := a.SignToken(taken, MaxTokenAge); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("of rights of which some were taken there is %v, %v", token, err)
	}
}

// TestARecalledTokenIsNotBelieved: of that user, if it was given before, wherever the news has come.
func TestARecalledTokenIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		n := join(t, a, "rec-1", understudy.RoleRecording)
		given := time.Now().Truncate(time.Second)
		token, err := a.SignToken(ada, MaxTokenAge)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			site    *understudy.Site
			refused bool
		}{
			{nil, false},
			{&understudy.Site{}, false},
			{&understudy.Site{Recalls: []understudy.Recall{{User: "bob", Before: given.Add(time.Hour)}}}, false},
			{&understudy.Site{Recalls: []understudy.Recall{{User: "ada", Before: given}}}, false},
			{&understudy.Site{Recalls: []understudy.Recall{{User: "ada", Before: given.Add(time.Second)}}}, true},
		} {
			who, err := n.VerifyToken(string(token.Token), c.site)
			if (understudy.CodeOf(err) == understudy.CodeUnauthenticated) != c.refused || err == nil && !who.Given.Equal(given) {
				t.Errorf("at %+v it is that of %+v, %v", c.site, who, err)
			}
		}
	})
}

func TestOnlyUsersGetTokensAndNotForLong(t *testing.T) {
	a := newAuthority(t)
	many := ada
	many.Cameras = nil
	for i := range 2000 {
		many.Cameras = append(many.Cameras, understudy.CameraID(fmt.Sprintf("camera-%d", i)))
	}
	for name, c := range map[string]struct {
		who understudy.Identity
		ttl time.Duration
	}{
		"nobody":           {understudy.Identity{}, time.Minute},
		"a server":         {understudy.Identity{Server: "rec-1", Role: understudy.RoleRecording}, time.Minute},
		"both":             {understudy.Identity{Server: "rec-1", User: "ada"}, time.Minute},
		"too long":         {ada, MaxTokenAge + time.Second},
		"no time":          {ada, 0},
		"too many cameras": {many, time.Minute},
	} {
		if _, err := a.SignToken(c.who, c.ttl); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sign makes a token of any header and claims, signed by f.
func sign(header, body map[string]any, f func(text string) []byte) string {
	encode := func(v any) string {
		text, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := encode(header) + "." + encode(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(f(text))
}

func TestEveryOtherTokenIsRefused(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	n := join(t, a, "rec-1", understudy.RoleRecording)
	good, err := a.SignToken(ada, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.SignToken(ada, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	public := a.token.Public().(ed25519.PublicKey)
	mine := func(text string) []byte { return ed25519.Sign(a.token, []byte(text)) }
	now := time.Now().Unix()
	header := func(changes ...any) map[string]any {
		return with(map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": keyID(public)}, changes...)
	}
	body := func(changes ...any) map[string]any {
		return with(map[string]any{"iss": a.Installation(), "sub": "ada", "iat": now, "exp": now + 60,
			"actions": []string{"live"}, "cameras": []string{"*"}}, changes...)
	}
	if _, err := n.VerifyToken(sign(header(), body(), mine), nil); err != nil {
		t.Fatalf("the token that the others differ from: %v", err)
	}
	hmac := func(key any) func(string) []byte {
		return func(text string) []byte {
			sum, err := jwt.SigningMethodHS256.Sign(text, key)
			if err != nil {
				t.Fatal(err)
			}
			return sum
		}
	}
	none := func(string) []byte { return nil }
	parts := strings.Split(string(good.Token), ".")
	for name, token := range map[string]string{
		"nothing":                           "",
		"not a token":                       "hello",
		"three empty parts":                 "..",
		"cut":                               string(good.Token[:len(good.Token)-1]),
		"padded":                            string(good.Token) + "=",
		"with a space":                      string(good.Token) + " ",
		"of great length":                   string(good.Token) + strings.Repeat("A", maxTokenLength),
		"without a signature":               parts[0] + "." + parts[1] + ".",
		"of another installation":           string(foreign.Token),
		"another's, in our name":            sign(header(), body(), func(text string) []byte { return ed25519.Sign(other.token, []byte(text)) }),
		"alg none":                          sign(header("alg", "none"), body(), none),
		"alg None":                          sign(header("alg", "None"), body(), none),
		"alg none with our signature":       sign(header("alg", "none"), body(), mine),
		"no alg":                            sign(header("alg", nil), body(), mine),
		"HS256 with the public key":         sign(header("alg", "HS256"), body(), hmac([]byte(public))),
		"HS256 with the public key, base64": sign(header("alg", "HS256"), body(), hmac([]byte(a.Trust().TokenKeys[0]))),
		"HS256 with the CA":                 sign(header("alg", "HS256"), body(), hmac(a.CACertificate())),
		"another key id":                    sign(header("kid", keyID(other.token.Public().(ed25519.PublicKey))), body(), mine),
		"no key id":                         sign(header("kid", nil), body(), mine),
		"a key id that is no text":          sign(header("kid", []int{1}), body(), mine),
		"another issuer":                    sign(header(), body("iss", other.Installation()), mine),
		"no issuer":                         sign(header(), body("iss", nil), mine),
		"no user":                           sign(header(), body("sub", nil), mine),
		"no end":                            sign(header(), body("exp", nil), mine),
		"no beginning":                      sign(header(), body("iat", nil), mine),
		"expired":                           sign(header(), body("iat", now-600, "exp", now-31), mine),
		"too long a life":                   sign(header(), body("exp", now+601), mine),
		"made in an hour":                   sign(header(), body("iat", now+3600, "exp", now+3660), mine),
		"not yet valid":                     sign(header(), body("nbf", now+3600), mine),
		"an end that is no number":          sign(header(), body("exp", "tomorrow"), mine),
		"an end beyond numbers":             sign(header(), body("exp", 1e300), mine),
		"actions that are no list":          sign(header(), body("actions", "live"), mine),
	} {
		who, err := n.VerifyToken(token, nil)
		if understudy.CodeOf(err) != understudy.CodeUnauthenticated || who.String() != "nobody" || who.Actions != nil {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
		if err != nil && len(parts[1]) > 0 && strings.Contains(err.Error(), parts[1]) {
			t.Errorf("%s: the token stands in the error: %v", name, err)
		}
	}
}

func with(m map[string]any, changes ...any) map[string]any {
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == nil {
			delete(m, changes[i].(string))
			continue
		}
		m[changes[i].(string)] = changes[i+1]
	}
	return m
}

func TestATokenWithAnyBitFlippedIsRefused(t *testing.T) {
	a := newAuthority(t)
	n := join(t, a, "rec-1", understudy.RoleRecording)
	token, err := a.SignToken(ada, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(token.Token) * 8 {
		flipped := []byte(token.Token)
		flipped[bit/8] ^= 1 << (bit % 8)
		if who, err := n.VerifyToken(string(flipped), nil); err == nil {
			t.Fatalf("accepted with bit %d flipped, as %+v", bit, who)
		}
	}
}

func TestClocksThatDifferALittleDoNotEndViewing(t *testing.T) {
	a := newAuthority(t)
	trust, err := a.Trust().parse()
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.SignToken(ada, MaxTokenAge)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off      time.Duration // of the verifying server's clock
		accepted bool
	}{
		{-6 * time.Minute, false}, {-4 * time.Minute, true}, {0, true}, {5 * time.Minute, true},
		{MaxTokenAge + 20*time.Second, true}, {MaxTokenAge + 40*time.Second, false}, {24 * time.Hour, false},
	} {
		if _, err := trust.verifyToken(string(token.Token), time.Now().Add(c.off), time.Now().Add(c.off)); (err == nil) != c.accepted {
			t.Errorf("with the clock %s off: %v", c.off, err)
		}
	}
}

func TestATokenOfANewKeyIsAcceptedOnceTheKeyIsTrusted(t *testing.T) {
	a, next := newAuthority(t), newAuthority(t)
	n := join(t, a, "rec-1", understudy.RoleRecording)
	next.id = a.Installation() // the same installation after its token key was replaced
	token, err := next.SignToken(ada, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.VerifyToken(string(token.Token), nil); err == nil {
		t.Fatal("accepted before the key was trusted")
	}
	trust := a.Trust()
	trust.TokenKeys = append(trust.TokenKeys, next.Trust().TokenKeys...)
	if err := n.UpdateTrust(trust); err != nil {
		t.Fatal(err)
	}
	if _, err := n.VerifyToken(string(token.Token), nil); err != nil {
		t.Error(err)
	}
}

func FuzzVerifyToken(f *testing.F) {
	a := newAuthority(f)
	trust, err := a.Trust().parse()
	if err != nil {
		f.Fatal(err)
	}
	token, err := a.SignToken(ada, time.Minute)
	if err != nil {
		f.Fatal(err)
	}
	good := string(token.Token)
	f.Add(good[1:])
	f.Add(good[:rand.N(len(good))])
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, text string) {
		if who, err := trust.verifyToken(text, time.Now(), time.Now()); err == nil && text != good {
			t.Errorf("accepted %q as %+v", text, who)
		}
	})
}

// While no management server is heard, a token that was good when the silence
// began stays good, for half a day; one that had ended before it does not.
func TestTokenOutlivesTheManagementServer(t *testing.T) {
	a := newAuthority(t)
	token, err := a.SignToken(understudy.Identity{User: "vera", Actions: []understudy.Action{understudy.ActionLive}, Cameras: []understudy.CameraID{"lobby"}}, MaxTokenAge)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := a.Trust().parse()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		now, heard time.Duration // from when the token was made
		good       bool
	}{
		{"in its time", 5 * time.Minute, 5 * time.Minute, true},
		{"after its time, while the management server is heard", 15 * time.Minute, 15*time.Minute - 10*time.Second, false},
		{"after its time, silence since before its end", 3 * time.Hour, 5 * time.Minute, true},
		{"after its time, silence since after its end", 3 * time.Hour, 11 * time.Minute, false},
		{"after its time, the silence has ended", 3 * time.Hour, 3 * time.Hour, false},
		{"half a day after its end", 12*time.Hour + 11*time.Minute, 5 * time.Minute, false},
	} {
		now := time.Now().Add(c.now)
		_, err := trust.verifyToken(string(token.Token), now, judged(now, time.Now().Add(c.heard)))
		if good := err == nil; good != c.good {
			t.Errorf("%s: good is %v: %v", c.name, good, err)
		}
	}
}
