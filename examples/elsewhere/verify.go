// Checks an access token with the public keys alone. Usage: verify JWKS_URL ISSUER AUDIENCE < token
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Session is what an access token says.
type Session struct {
	jwt.Claims
	ID       string `json:"sid"`
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	Bound    any    `json:"cnf"`
}

// fetchKeys gets the public keys. Keep them for some minutes, and fetch them anew when a token names one you don't have.
func fetchKeys(url string) (keys jose.JSONWebKeySet, err error) {
	answer, err := http.Get(url)
	if err != nil {
		return keys, err
	}
	defer answer.Body.Close()
	return keys, json.NewDecoder(answer.Body).Decode(&keys)
}

func verify(token string, keys jose.JSONWebKeySet, issuer, audience string) (*Session, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		return nil, err
	}
	header := parsed.Headers[0]
	if header.ExtraHeaders[jose.HeaderType] != "at+jwt" {
		return nil, errors.New("not an access token (RFC 9068)")
	}
	found := keys.Key(header.KeyID)
	if len(found) != 1 || found[0].Algorithm != header.Algorithm {
		return nil, errors.New("no such key, or a key for another algorithm")
	}
	session := &Session{}
	if err := parsed.Claims(found[0].Key, session); err != nil {
		return nil, err
	}
	// A token that is bound to a key (RFC 9449) needs a proof of that key, which comes with the request.
	if session.Bound != nil {
		return nil, errors.New("bound to a key: not to be used without its proof")
	}
	return session, session.ValidateWithLeeway(jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{audience}}, 0)
}

func main() {
	token, _ := io.ReadAll(os.Stdin)
	keys, err := fetchKeys(os.Args[1])
	if err == nil {
		var session *Session
		if session, err = verify(strings.TrimSpace(string(token)), keys, os.Args[2], os.Args[3]); err == nil {
			fmt.Println(session.Subject, session.ID, session.ClientID)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "refused:", err)
	os.Exit(1)
}
