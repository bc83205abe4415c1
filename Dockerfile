# The TypeScript part: worker and command. glibc is required (the Temporal SDK has no builds for musl).
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts ./scripts
COPY src ./src
RUN node scripts/build.mjs

FROM node:22-bookworm-slim
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/* \
  && mkdir -p /data/logs /artifacts /logs \
  && chown -R node:node /data /artifacts /logs
# A worker writes its log files below this folder, in one of its own.
ENV NODE_ENV=production NIGHTSHIFT_LOG_DIR=/logs
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund && npm cache clean --force
COPY --from=build /app/dist ./dist
COPY drizzle ./drizzle
COPY config ./config
COPY data ./data
COPY scripts/lib ./scripts/lib
COPY deploy ./deploy
USER node
HEALTHCHECK --interval=30s --timeout=15s --retries=3 --start-period=60s CMD ["node", "deploy/worker-health.mjs", "pipeline"]
CMD ["node", "--enable-source-maps", "dist/worker/main.js"]
