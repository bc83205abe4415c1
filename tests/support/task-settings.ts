/** The smallest models that still go through every library: for tests of the tasks around them. */
export const QUICK_SETTINGS = {
  model: {
    bootstrapSamples: 100,
    parameters: {
      lightgbm: { trees: 4, leaves: 4 },
      xgboost: { trees: 4, depth: 2 },
      catboost: { trees: 4, depth: 2 },
      histGradientBoosting: { trees: 4, leaves: 4 },
      randomForest: { trees: 4, depth: 3 },
      extraTrees: { trees: 4, depth: 3 },
      logisticRegression: { maxIterations: 20 },
      mlp: { hiddenLayers: [4], epochs: 1 },
    },
  },
};
