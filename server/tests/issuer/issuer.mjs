// An OpenID Connect issuer on loopback for the contract suite. The first line of its output is its URL; it exits when its
// standard input is closed. It issues tokens for client credentials: the client is the user.
//
// node issuer.mjs PORT KEYS: the port (0 for a free one), and the ids of the signing keys, such as "ES256-1,RS256-1".
// GARAGE_TEST_ISSUER_KEYS is the folder of the keys, such as ES256-1.pem. Missing keys are generated, so that an issuer
// can be restarted with the same keys.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import Provider from 'oidc-provider';

const [port, ids] = [Number(process.argv[2]), process.argv[3].split(',')];
const folder = process.env.GARAGE_TEST_ISSUER_KEYS;

const kinds = {
	ES256: ['ec', { namedCurve: 'P-256' }],
	RS256: ['rsa', { modulusLength: 2048 }],
	EdDSA: ['ed25519']
};

function key(id) {
	const file = join(folder, `${id}.pem`);
	const algorithm = id.split('-')[0];
	if (!existsSync(file)) {
		const { privateKey } = generateKeyPairSync(...kinds[algorithm]);
		writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }));
	}
	const jwk = createPrivateKey(readFileSync(file)).export({ format: 'jwk' });
	return { ...jwk, kid: id, alg: algorithm, use: 'sig' };
}

const keys = ids.map(key);
const server = createServer();
await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}`;

const client = (id) => ({
	client_id: id,
	client_secret: 'secret',
	id_token_signed_response_alg: 'ES256',
	grant_types: ['client_credentials'],
	redirect_uris: [],
	response_types: []
});

const provider = new Provider(url, {
	clients: [client('ada'), client('bob')],
	jwks: { keys },
	cookies: { keys: ['only for tests'] },
	features: {
		clientCredentials: { enabled: true },
		devInteractions: { enabled: false },
		resourceIndicators: {
			enabled: true,
			// The resource determines the token's audience and algorithm: urn:AUDIENCE:ALGORITHM.
			getResourceServerInfo: (_context, resource) => {
				const [, audience, alg] = resource.split(':');
				return { scope: '', audience, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg } } };
			}
		}
	}
});
server.on('request', provider.callback());
console.log(url);
process.stdin.resume();
process.stdin.on('end', () => process.exit());
