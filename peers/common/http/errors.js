// The error responses of the contract.

import { STATUS_CODES } from 'node:http';

const RETRY_AFTER_SECONDS = '5';
const JSON_TYPE = 'application/json';

/** @typedef {{field: string, message: string}} FieldError */

/** Why a request failed; it is sent as this response. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {{headers?: Record<string, string>, details?: FieldError[], current?: object}} [more]
   */
  constructor(status, message, { headers = {}, details, current } = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
    this.details = details;
    this.current = current;
  }

  get body() {
    const { status, message, details, current } = this;
    return { statusCode: status, error: STATUS_CODES[status], message, details, current };
  }
}

const unavailable = (message) => new ApiError(503, message, { headers: { 'retry-after': RETRY_AFTER_SECONDS } });

/** @param {FieldError[]} details at least one */
export const fieldErrors = (details) => new ApiError(400, details[0].message, { details });
export const badRequest = (message) => new ApiError(400, message);
export const notJson = () => badRequest('Request body is not valid JSON');
export const unauthorized = () =>
  new ApiError(401, 'Missing or invalid token', { headers: { 'www-authenticate': 'Bearer' } });
export const quotaReached = (quota) =>
  new ApiError(403, `An account can have at most ${quota} vehicles, removed ones included`);
export const routeNotFound = () => new ApiError(404, 'Not Found');
/** The same for unknown vehicles and for those of others, so that it does not reveal which. */
export const vehicleNotFound = () => new ApiError(404, 'Vehicle not found');
/** @param {string[]} methods those that the route has */
export const methodNotAllowed = (methods) =>
  new ApiError(405, 'Method Not Allowed', { headers: { allow: methods.join(', ') } });
export const duplicateVin = () => new ApiError(409, 'Vehicle with this VIN already exists');
export const usedId = () => new ApiError(409, 'This id is already used by another vehicle');
export const changed = (current) => new ApiError(412, 'The vehicle has changed', { current });
export const bodyTooLarge = () => new ApiError(413, 'Request body is larger than 1 MiB');
export const unsupportedMediaType = () => new ApiError(415, 'Content-Type must be application/json');
export const internalError = () => new ApiError(500, 'Internal Server Error');
export const decoderUnavailable = () => new ApiError(503, 'Decoder unavailable');
export const databaseUnavailable = () => unavailable('Database unavailable');
export const issuerUnavailable = () => unavailable('Issuer unavailable');
export const tookTooLong = () => unavailable('Request took too long');

/**
 * Sends JSON that is serialized already.
 * @param {import('node:http').ServerResponse} response
 * @param {number} status
 * @param {string | Buffer} json
 * @param {Record<string, string>} [headers]
 */
export function sendJson(response, status, json, headers) {
  // A response of the time limit may have been sent before.
  if (response.headersSent) return;
  response.writeHead(status, {
    'content-type': JSON_TYPE,
    'content-length': Buffer.byteLength(json),
    ...headers,
  });
  response.end(json);
}

/**
 * @param {import('node:http').ServerResponse} response
 * @param {ApiError} error
 */
export function sendError(response, error) {
  sendJson(response, error.status, JSON.stringify(error.body), error.headers);
}
