// SPDX-License-Identifier: Apache-2.0

// Package httpcache runs http-cache-tests, the suite behind cache-tests.fyi, against a mirror of the built binary. What does
// not pass is in known.txt with the reason; a test that fails and is not there is an error, and one that is there and
// passes, too.
//
// Another copy of the suite, such as the newer one of its repository, is run by -args -suite <directory>; its results
// are only reported.
package httpcache
