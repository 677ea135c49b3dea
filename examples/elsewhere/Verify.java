// Checks an access token with the public keys alone. Usage: java Verify JWKS_URL ISSUER AUDIENCE < token
import static org.jose4j.jwa.AlgorithmConstraints.ConstraintType.PERMIT;

import org.jose4j.jwk.HttpsJwks;
import org.jose4j.jws.AlgorithmIdentifiers;
import org.jose4j.jwt.JwtClaims;
import org.jose4j.jwt.consumer.InvalidJwtException;
import org.jose4j.jwt.consumer.JwtConsumer;
import org.jose4j.jwt.consumer.JwtConsumerBuilder;
import org.jose4j.keys.resolvers.HttpsJwksVerificationKeyResolver;

public class Verify {
    // Make one for the whole application: it keeps the keys, and fetches them anew when a token names another one.
    static JwtConsumer consumer(String jwksUrl, String issuer, String audience) {
        return new JwtConsumerBuilder()
            .setVerificationKeyResolver(new HttpsJwksVerificationKeyResolver(new HttpsJwks(jwksUrl)))
            .setJwsAlgorithmConstraints(
                PERMIT, AlgorithmIdentifiers.ECDSA_USING_P256_CURVE_AND_SHA256, AlgorithmIdentifiers.RSA_USING_SHA256)
            .setExpectedType(true, "at+jwt")
            .setExpectedIssuer(issuer)
            .setExpectedAudience(audience)
            .setRequireExpirationTime()
            .setRequireSubject()
            .build();
    }

    public static void main(String[] given) throws Exception {
        String token = new String(System.in.readAllBytes()).strip();
        try {
            JwtClaims session = consumer(given[0], given[1], given[2]).processToClaims(token);
            // A token that is bound to a key (RFC 9449) needs a proof of that key, which comes with the request.
            if (session.hasClaim("cnf")) {
                System.err.println("refused: bound to a key: not to be used without its proof");
                System.exit(1);
            }
            System.out.println(String.join(" ",
                session.getSubject(), session.getStringClaimValue("sid"), session.getStringClaimValue("client_id")));
        } catch (InvalidJwtException refused) {
            System.err.println("refused: " + refused.getErrorDetails());
            System.exit(1);
        }
    }
}
