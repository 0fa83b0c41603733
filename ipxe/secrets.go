// SPDX-License-Identifier: Apache-2.0

package ipxe

import (
	"bytes"
	"slices"
	"strings"
)

// Secrets are the CHAP credentials of a node's volumes, in the order of the drives. Ironic's API masks the passwords
// for every role, so they come from the script that the conductor wrote. They print as stars.
type Secrets struct {
	drives    []Credential
	passwords []string // all that the script sets
}

// Credential is a CHAP user and password.
type Credential struct {
	Username string
	password string
}

// String hides the password.
func (c Credential) String() string { return c.Username + ":***" }

// GoString hides the password.
func (c Credential) GoString() string { return c.String() }

// ReadSecrets takes the credentials out of a conductor's boot script: those in force at each sanhook line.
func ReadSecrets(script []byte) *Secrets {
	s := &Secrets{}
	var now Credential
	for line := range bytes.Lines(script) {
		words := strings.Fields(string(line))
		switch {
		case len(words) >= 2 && words[0] == "set" && words[1] == "username":
			now.Username = strings.Join(words[2:], " ")
		case len(words) >= 2 && words[0] == "set" && words[1] == "password":
			now.password = strings.Join(words[2:], " ")
			s.passwords = append(s.passwords, now.password)
		case len(words) > 0 && words[0] == "sanhook":
			s.drives = append(s.drives, now)
		}
	}
	return s
}

// Hide replaces the passwords in a text by stars, also those of drives that are not attached by sanhook.
func (s *Secrets) Hide(text string) string {
	if s == nil {
		return text
	}
	longest := slices.SortedFunc(slices.Values(s.passwords), func(a, b string) int { return len(b) - len(a) }) // one may be part of another
	for _, password := range longest {
		if password != "" {
			text = strings.ReplaceAll(text, password, "***")
		}
	}
	return text
}

// credential returns the one for the drive at index i, which the API says has the given user.
func (s *Secrets) credential(i int, username string) (Credential, error) {
	if s == nil {
		return Credential{}, &Refused{ReasonSecret,
			"its volumes need CHAP passwords, which Ironic's API does not show; give conductor_http."}
	}
	if i >= len(s.drives) || s.drives[i].Username != username || s.drives[i].password == "" {
		return Credential{}, &Refused{ReasonSecret, "the conductor's script does not hold the CHAP password of its volumes."}
	}
	c := s.drives[i]
	for field, value := range map[string]string{"the CHAP user": c.Username, "the CHAP password": c.password} {
		if _, err := ParseToken(value); err != nil {
			return Credential{}, refuse(field, err)
		}
	}
	return c, nil
}
