// An OpenID Connect issuer on loopback for the contract's suite. Its first line of output is its URL; it ends with its
// standard input. Its tokens are of client credentials: the client is the user.
//
// node issuer.mjs PORT PLAN: the port (0 for a free one), and which signing keys there are, such as "ES256-1,RS256-1".
// Keys come from the folder that GARAGE_TEST_ISSUER_KEYS names and are made there when missing, so that an issuer can go
// and come back.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { webcrypto } from 'node:crypto';
import Provider from 'oidc-provider';

const [port, plan] = [Number(process.argv[2]), process.argv[3]];
const folder = process.env.GARAGE_TEST_ISSUER_KEYS;

const kinds = {
	ES256: { name: 'ECDSA', namedCurve: 'P-256' },
	RS256: { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
	EdDSA: { name: 'Ed25519' }
};

async function key(id) {
	const file = join(folder, `${id}.json`);
	if (!existsSync(file)) {
		const algorithm = id.split('-')[0];
		const pair = await webcrypto.subtle.generateKey(kinds[algorithm], true, ['sign', 'verify']);
		const jwk = await webcrypto.subtle.exportKey('jwk', pair.privateKey);
		writeFileSync(file, JSON.stringify({ ...jwk, kid: id, alg: algorithm, use: 'sig', key_ops: undefined }));
	}
	return JSON.parse(readFileSync(file, 'utf8'));
}

const keys = await Promise.all(plan.split(',').map(key));
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
			// The resource names what the token is to be: urn:AUDIENCE:ALGORITHM.
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
